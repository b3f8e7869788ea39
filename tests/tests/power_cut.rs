//! A power cut in the middle of the work: what was acknowledged is there afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::http;

#[test]
fn g1_every_acknowledged_sign_up_is_there_after_kill_9() {
    let directory = TempDir::new().unwrap();
    let mut hub = Node::hub(&directory.path().join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for round in 0..3 {
        hub.serve().unwrap();
        let (address, stop) = (hub.http().to_owned(), Arc::new(AtomicBool::new(false)));
        let posting = |worker: usize| {
            let (address, stop, acknowledged) = (address.clone(), Arc::clone(&stop), Arc::clone(&acknowledged));
            thread::spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let email = format!("p{round}-{worker}-{n}@example.org");
                    let body = format!(r#"{{"person":{{"email_addresses":[{{"address":"{email}"}}]}}}}"#);
                    match http::post_json(&address, "/api/v1/people/person_signup_helper", &body) {
                        Ok(answer) if answer.status == 200 && answer.json().is_ok() => {
                            acknowledged.lock().unwrap().push(email)
                        }
                        Ok(_) | Err(_) => {}
                    }
                }
            })
        };
        let workers: Vec<_> = (0..4).map(posting).collect();
        let wanted = (round + 1) * 60;
        until("some sign-ups are acknowledged", || Ok((acknowledged.lock().unwrap().len() > wanted).then_some(())))
            .unwrap();
        hub.kill().unwrap();
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    }
    hub.run(&["verify"]).unwrap();
    for email in acknowledged.lock().unwrap().iter() {
        let found = hub.json(&["people", "list", "--query", email]).unwrap();
        let there = found["people"]
            .as_array()
            .is_some_and(|people| people.iter().any(|p| p.to_string().contains(email.as_str())));
        assert!(there, "{email} was acknowledged and is gone");
    }
}

#[test]
fn a_chapter_that_was_killed_goes_on_where_it_was() {
    let directory = TempDir::new().unwrap();
    let mut hub = Node::hub(&directory.path().join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "all", "--name", "Everywhere", "--postal", "0*,1*,2*,3*,4*,5*,6*,7*,8*,9*"]).unwrap();
    hub.serve().unwrap();
    let file = directory.path().join("people.csv");
    std::fs::write(&file, tests::sign_ups::csv(1500, 5)).unwrap();
    hub.run(&["signup", "import", file.to_str().unwrap()]).unwrap();
    let mut chapter = Node::chapter(&directory.path().join("all"));
    let invite = hub.run(&["invite", "all"]).unwrap();
    chapter.run(&["join", &invite, "--accept-statement"]).unwrap();
    chapter.serve().unwrap();
    until("some people have come", || {
        let status = chapter.json(&["status"])?;
        Ok(status["supporters"].as_u64().filter(|count| *count > 0))
    })
    .unwrap();
    chapter.kill().unwrap();
    chapter.run(&["sync"]).unwrap();
    assert_eq!(chapter.run(&["state-hash"]).unwrap(), hub.run(&["state-hash", "--scope", "all"]).unwrap());
    chapter.run(&["verify"]).unwrap();
    let tally = chapter.json(&["status"]).unwrap();
    assert_eq!(tally["supporters"].as_u64(), Some(1500));
    assert_eq!(tally["refused"].as_u64(), Some(0));
}
