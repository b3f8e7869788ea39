//! A line between a child and its parent that may be a long one, and what is said over it.
//!
//! **Invariant:** what is counted is what the child's node says and hears inside of its connections, after their handshakes
//! and without encryption; every byte is counted once. Knows of HTTP/2 only where its frames begin and end, of gRPC where its
//! messages do, and of a link's frames their kinds.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;
use node::{Connector, Watch, Went};

use crate::harness::until;
use crate::proxy::Way;

/// Bytes carried at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// A line on which nothing has come for this long is quiet: far more than either end needs to answer.
const QUIET: Duration = Duration::from_millis(300);
/// What a client says before its first frame (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;
/// Before each frame of HTTP/2: 3 bytes of length, 1 of type, 1 of flags, 4 of stream (RFC 9113, section 4.1).
const FRAME_HEAD_BYTES: usize = 9;
/// The type of the frames that carry messages.
const DATA: u8 = 0;
/// Before each message of gRPC: one byte of flags, four of length.
const PREFIX_BYTES: usize = 5;
/// The kinds of a link's frames by the field's number, as `sync.proto` has them. A packed batch is a batch.
const KINDS: [&str; 10] = ["unknown", "hello", "batch", "ack", "head", "bye", "batch", "adrift", "ask", "answer"];

/// A message that went over the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which frame of the link it is: `hello`, `batch`, `ack`, `head`, `bye`, `adrift`, `ask`, `answer`.
    pub kind: &'static str,
    /// What it weighs, gRPC's prefix included.
    pub bytes: usize,
    /// When its beginning is at the other end, counted from the handshake's.
    pub there: Duration,
}

/// What went one way.
#[derive(Clone, Debug, Default)]
pub struct OneWay {
    /// Everything.
    pub bytes: usize,
    /// DATA frames with their heads: messages and their framing.
    pub data_bytes: usize,
    /// The messages, in order.
    pub messages: Vec<Message>,
}

/// What went over the line.
#[derive(Clone, Debug, Default)]
pub struct Count {
    /// From the child.
    pub up: OneWay,
    /// From the parent.
    pub down: OneWay,
}

/// Who listens inside of a child's connections. Clones share what was heard.
#[derive(Clone, Debug)]
pub struct Tap(Arc<Mutex<Heard>>);

#[derive(Debug)]
struct Heard {
    count: Count,
    /// When the last byte was said or heard.
    last: Instant,
    /// How long what is said needs to the other end.
    delay: Duration,
}

/// A line in front of a parent. Dropped, its connections and threads end.
#[derive(Debug)]
pub struct Meter {
    address: SocketAddr,
    tap: Tap,
    delay: Duration,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    delay: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Both ends of every connection.
    ends: Vec<Arc<TcpStream>>,
    ended: bool,
}

/// Bytes, and when they are to arrive.
type Due = (Instant, Vec<u8>);

impl OneWay {
    /// Its messages of one kind.
    pub fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Message> {
        self.messages.iter().filter(move |message| message.kind == kind)
    }

    /// What was said, for a person: each message with its bytes.
    pub fn said(&self) -> String {
        let said = |message: &Message| format!("{} {}", message.kind, message.bytes);
        self.messages.iter().map(said).collect::<Vec<_>>().join(" + ")
    }
}

impl Count {
    /// Everything, both ways.
    pub fn bytes(&self) -> usize {
        self.up.bytes + self.down.bytes
    }

    /// DATA frames with their heads, both ways.
    pub fn data_bytes(&self) -> usize {
        self.up.data_bytes + self.down.data_bytes
    }

    /// The messages, those from the child first.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.up.messages.iter().chain(&self.down.messages)
    }
}

impl Default for Tap {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Heard { count: Count::default(), last: Instant::now(), delay: Duration::ZERO })))
    }
}

impl Tap {
    /// By what a child has to connect, for this to hear it.
    pub fn connector(&self) -> Connector {
        let tap = self.clone();
        Connector::tcp().watched_by(move || tap.watch())
    }

    /// For one connection, whose handshake is over.
    fn watch(&self) -> Watch {
        let (tap, shaken) = (self.clone(), Instant::now());
        let (mut up, mut down) = (Reading::new(Way::Up), Reading::new(Way::Down));
        Box::new(move |went: Went, bytes: &[u8]| {
            let mut heard = tap.lock();
            heard.last = Instant::now();
            let now = heard.last.duration_since(shaken);
            let Heard { count, delay, .. } = &mut *heard;
            match went {
                Went::Out => up.take(bytes, now + *delay, &mut count.up),
                Went::In => down.take(bytes, now, &mut count.down),
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter {
    /// Listens on a port of its own and carries everything on to `upstream`; each byte needs `delay` one way. What is said
    /// is heard by the tap, of a child that connects by it.
    ///
    /// # Errors
    /// When this machine has no port left.
    pub fn start(upstream: SocketAddr, delay: Duration, tap: &Tap) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        *tap.lock() = Heard { count: Count::default(), last: Instant::now(), delay };
        let shared = Arc::new(Shared { upstream, delay, state: Mutex::default() });
        let for_thread = Arc::clone(&shared);
        let accepting = thread::spawn(move || accept(&listener, &for_thread));
        Ok(Self { address, tap: tap.clone(), delay, shared, accepting: Some(accepting) })
    }

    /// Where children dial it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has gone over it.
    pub fn count(&self) -> Count {
        self.tap.lock().count.clone()
    }

    /// What has gone over it; it counts from nothing again.
    pub fn take(&self) -> Count {
        std::mem::take(&mut self.tap.lock().count)
    }

    /// Waits until nothing comes any more.
    ///
    /// # Errors
    /// When something comes all the time.
    pub fn quiet(&self) -> Result<()> {
        let quiet = QUIET + self.delay;
        until("nothing goes over the line", || Ok((self.tap.lock().last.elapsed() > quiet).then_some(())))
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.ended = true;
            for end in state.ends.drain(..) {
                // The other side may have closed it already.
                let _ = end.shutdown(Shutdown::Both);
            }
        }
        // Wakes the thread that accepts: it sees that this is the end.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the other half of a connection. `None` when the parent is down or this is the end: the child's half ends.
    fn open(&self, child: TcpStream) -> Option<[Arc<TcpStream>; 2]> {
        let parent = TcpStream::connect(self.upstream).ok()?;
        let ends = [Arc::new(child), Arc::new(parent)];
        for end in &ends {
            end.set_nodelay(true).ok()?;
        }
        let mut state = self.lock();
        if state.ended {
            return None;
        }
        state.ends.extend(ends.iter().cloned());
        Some(ends)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for child in listener.incoming() {
        if shared.lock().ended {
            break;
        }
        let Some([child, parent]) = child.ok().and_then(|child| shared.open(child)) else { continue };
        for (from, to) in [(&child, &parent), (&parent, &child)] {
            let (due, to_deliver) = mpsc::channel();
            let (delay, from, to) = (shared.delay, Arc::clone(from), Arc::clone(to));
            threads.push(thread::spawn(move || hear(delay, &from, &due)));
            threads.push(thread::spawn(move || deliver(&to_deliver, &to)));
        }
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// Takes what comes one way and says when it is due at the other end.
fn hear(delay: Duration, mut from: &TcpStream, due: &Sender<Due>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if due.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
            return;
        }
    }
}

/// Hands on what is due, in order.
fn deliver(due: &Receiver<Due>, mut to: &TcpStream) {
    while let Ok((at, bytes)) = due.recv() {
        loop {
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // Nothing more comes this way. Who hears of it may have gone already.
    let _ = to.shutdown(Shutdown::Write);
}

/// Where one way of a connection stands among frames and messages.
#[derive(Debug)]
struct Reading {
    preface_left: usize,
    /// The head of a frame, as far as it came.
    head: Vec<u8>,
    payload_left: usize,
    is_data: bool,
    /// The prefix of a message with the message's first byte, as far as they came.
    prefix: Vec<u8>,
    message_left: usize,
}

impl Reading {
    const fn new(way: Way) -> Self {
        let preface_left = match way {
            Way::Up => PREFACE_BYTES,
            Way::Down => 0,
        };
        Self { preface_left, head: Vec::new(), payload_left: 0, is_data: false, prefix: Vec::new(), message_left: 0 }
    }

    fn take(&mut self, mut came: &[u8], there: Duration, counted: &mut OneWay) {
        counted.bytes += came.len();
        while !came.is_empty() {
            if self.preface_left > 0 {
                pass(&mut self.preface_left, &mut came);
            } else if self.payload_left > 0 {
                let payload = pass(&mut self.payload_left, &mut came);
                if self.is_data {
                    counted.data_bytes += payload.len();
                    self.take_payload(payload, there, counted);
                }
            } else if gather(&mut self.head, FRAME_HEAD_BYTES, &mut came) {
                self.payload_left = number(&self.head[..3]);
                self.is_data = self.head[3] == DATA;
                if self.is_data {
                    counted.data_bytes += FRAME_HEAD_BYTES;
                }
                self.head.clear();
            }
        }
    }

    /// Messages in the payload of DATA frames, which nobody here pads. There is one stream a connection.
    fn take_payload(&mut self, mut came: &[u8], there: Duration, counted: &mut OneWay) {
        while !came.is_empty() {
            if self.message_left > 0 {
                pass(&mut self.message_left, &mut came);
            } else if gather(&mut self.prefix, PREFIX_BYTES + 1, &mut came) {
                // No frame of a link is empty, and its kind is the first field that is written.
                let length = number(&self.prefix[1..PREFIX_BYTES]);
                let field = usize::from(self.prefix[PREFIX_BYTES] >> 3);
                let kind = KINDS.get(field).copied().unwrap_or(KINDS[0]);
                counted.messages.push(Message { kind, bytes: PREFIX_BYTES + length, there });
                self.message_left = length.saturating_sub(1);
                self.prefix.clear();
            }
        }
    }
}

/// Takes what is left, or as much of it as came.
fn pass<'a>(left: &mut usize, came: &mut &'a [u8]) -> &'a [u8] {
    let all = *came;
    let (taken, rest) = all.split_at((*left).min(all.len()));
    *left -= taken.len();
    *came = rest;
    taken
}

/// Takes as many bytes as are wanted together; gives whether they are there.
fn gather(together: &mut Vec<u8>, wanted: usize, came: &mut &[u8]) -> bool {
    let mut left = wanted - together.len();
    together.extend_from_slice(pass(&mut left, came));
    left == 0
}

/// Bytes as a number, the greatest first.
fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 1], payload].concat()
    }

    fn message(field: u8, length: u8) -> Vec<u8> {
        let mut body = vec![7; usize::from(length)];
        body[0] = (field << 3) | 2;
        [&[0, 0, 0, 0, length][..], &body].concat()
    }

    #[test]
    fn frames_and_messages_are_counted_wherever_they_are_cut() {
        let preface = [b'P'; PREFACE_BYTES];
        let both = [message(1, 200), message(4, 30)].concat();
        let (first, second) = both.split_at(203);
        let sent =
            [&preface[..], &frame(4, &[1; 6]), &frame(1, &[2; 90]), &frame(DATA, first), &frame(DATA, second)].concat();
        for chunk in [1, 2, 7, 100, sent.len()] {
            let (mut reading, mut counted) = (Reading::new(Way::Up), OneWay::default());
            sent.chunks(chunk).for_each(|came| reading.take(came, Duration::ZERO, &mut counted));
            assert_eq!((counted.bytes, counted.data_bytes), (sent.len(), 2 * FRAME_HEAD_BYTES + both.len()));
            assert_eq!(counted.said(), "hello 205 + head 35", "in pieces of {chunk} bytes");
        }
    }

    #[test]
    fn what_is_said_inside_is_counted_once_each_way_and_from_nothing_again() {
        let tap = Tap::default();
        let line = Meter::start((Ipv4Addr::LOCALHOST, 1).into(), Duration::from_millis(20), &tap).unwrap();
        let mut watch = tap.watch();
        watch(Went::Out, &[&[b'P'; PREFACE_BYTES][..], &frame(DATA, &message(1, 20))].concat());
        watch(Went::In, &frame(DATA, &message(4, 9)));
        let count = line.take();
        assert_eq!((count.up.said(), count.down.said()), ("hello 25".to_owned(), "head 14".to_owned()));
        assert!(count.up.messages[0].there >= Duration::from_millis(20), "it has the line before it");
        assert_eq!(line.count().bytes(), 0);
    }

    #[test]
    fn a_long_line_carries_everything_and_needs_its_time_each_way() {
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let upstream = echo.local_addr().unwrap();
        thread::spawn(move || {
            let (stream, _) = echo.accept().unwrap();
            std::io::copy(&mut &stream, &mut &stream)
        });
        let line = Meter::start(upstream, Duration::from_millis(20), &Tap::default()).unwrap();
        let began = Instant::now();
        let mut child = TcpStream::connect(line.address()).unwrap();
        child.write_all(&[7; 40]).unwrap();
        let mut came = [0; 40];
        child.read_exact(&mut came).unwrap();
        assert_eq!(came, [7; 40]);
        assert!(began.elapsed() >= Duration::from_millis(40), "20 ms there and 20 ms back");
        drop(line);
        assert!(!matches!(child.read(&mut came), Ok(1..)), "it ends with the line");
    }
}
