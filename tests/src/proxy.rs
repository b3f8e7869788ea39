//! A line between a child and its parent that can be made bad at any time: cut, slow, damaged, silent.
//!
//! **Invariant:** where it cuts and which bits it flips is counted in bytes, never drawn here. A connection that has
//! carried a damaged byte does not outlive the policy that damaged it. Knows nothing of HTTP/2, frames or nodes.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often a connection on which nothing comes, or which is held, looks at the policy.
const TICK: Duration = Duration::from_millis(10);
/// Ticks in a second: a throttled connection carries its share in each.
const TICKS_PER_SECOND: usize = 100;
/// Bytes carried at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// How long the parent may take to accept, and either end to take what was sent: both are on this machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the child, who dials, to its parent.
    Up,
    /// From the parent to the child.
    Down,
}

/// What the line does with what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Carries everything as it came.
    Pass,
    /// Closes every connection, and each new one at once.
    Cut,
    /// Cuts each connection after so many bytes, both ways together: the next place of the list, and then from its
    /// beginning again. An empty list cuts nothing.
    CutAfter {
        /// The places, in bytes.
        bytes: Vec<usize>,
    },
    /// Carries so many bytes a second each way, at least one a tick.
    Throttle {
        /// Bytes a second.
        bytes_per_second: usize,
    },
    /// Flips one bit of every n-th byte, counted on each connection and way from the moment of the switch; each time
    /// another of the eight.
    Corrupt {
        /// The distance between two damaged bytes; 0 damages none.
        every_bytes: usize,
        /// On which ways.
        ways: &'static [Way],
    },
    /// Accepts, and delivers nothing until another policy is set. What is held is late then, not lost.
    Hold,
}

/// A line in front of a parent. Dropped, its connections and threads end.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared(Mutex<State>);

#[derive(Debug)]
struct State {
    policy: Policy,
    /// Connections by the number in which they came.
    open: BTreeMap<u64, Open>,
    opened: u64,
    flipped_bits: u64,
    /// Places of lists of cuts that were given out.
    cuts: usize,
    ended: bool,
}

/// A connection that is open.
#[derive(Debug)]
struct Open {
    line: Arc<Line>,
    /// What it may still carry before it is cut.
    left_bytes: usize,
    /// What it has carried each way since the policy was set, where that is counted.
    passed_bytes: [usize; 2],
    damaged: bool,
}

#[derive(Debug)]
struct Line {
    child: TcpStream,
    parent: TcpStream,
}

/// What is to be done with bytes that came.
enum Order {
    /// Deliver the first so many.
    Deliver(usize, Then),
    /// Keep them for now.
    Wait,
    /// Close the connection.
    Close,
}

/// What follows a delivery.
enum Then {
    GoOn,
    Pause,
    Cut,
}

impl Proxy {
    /// Listens on a port of its own and passes everything on to `upstream`.
    ///
    /// # Panics
    /// When this machine has no port left.
    pub fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("this machine has a free port");
        let address = listener.local_addr().expect("a socket that listens has an address");
        let state =
            State { policy: Policy::Pass, open: BTreeMap::new(), opened: 0, flipped_bits: 0, cuts: 0, ended: false };
        let shared = Arc::new(Shared(Mutex::new(state)));
        let for_thread = Arc::clone(&shared);
        let accepting = thread::spawn(move || accept(&listener, &for_thread, upstream));
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Where children dial it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Switches to another policy, for what is open too. Bytes that were on their way already may still arrive.
    pub fn set(&self, policy: Policy) {
        let mut state = self.shared.lock();
        state.policy = policy;
        let State { policy, open, cuts, .. } = &mut *state;
        open.retain(|_, open| {
            let stays = *policy != Policy::Cut && !open.damaged;
            if stays {
                open.left_bytes = left(policy, cuts);
                open.passed_bytes = [0, 0];
            } else {
                open.line.shut();
            }
            stays
        });
    }

    /// How many connections it has accepted so far.
    pub fn opened(&self) -> u64 {
        self.shared.lock().opened
    }

    /// How many bits it has flipped so far.
    pub fn flipped_bits(&self) -> u64 {
        self.shared.lock().flipped_bits
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.ended = true;
            state.open.values().for_each(|open| open.line.shut());
            state.open.clear();
        }
        // Wakes the thread that accepts: it sees that this is the end.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl State {
    fn refuses(&self) -> bool {
        self.ended || self.policy == Policy::Cut
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the other half of a connection. `None` when it is refused or the parent is down: the child's half ends.
    fn open(&self, child: TcpStream, upstream: SocketAddr) -> Option<(u64, Arc<Line>)> {
        let id = {
            let mut state = self.lock();
            state.opened += 1;
            if state.refuses() {
                return None;
            }
            state.opened
        };
        let parent = TcpStream::connect_timeout(&upstream, PATIENCE).ok()?;
        let line = Arc::new(Line { child, parent });
        line.prepare().ok()?;
        let mut state = self.lock();
        if state.refuses() {
            return None;
        }
        let State { policy, open, cuts, .. } = &mut *state;
        let left_bytes = left(policy, cuts);
        open.insert(id, Open { line: Arc::clone(&line), left_bytes, passed_bytes: [0, 0], damaged: false });
        Some((id, line))
    }

    fn stands(&self, id: u64) -> bool {
        self.lock().open.contains_key(&id)
    }

    fn close(&self, id: u64) {
        let closed = self.lock().open.remove(&id);
        if let Some(open) = closed {
            open.line.shut();
        }
    }

    /// What is to be done with bytes that came, by the policy of this moment. Damages those that are to be delivered.
    fn decide(&self, id: u64, way: Way, bytes: &mut [u8]) -> Order {
        let mut state = self.lock();
        let State { policy, open, flipped_bits, .. } = &mut *state;
        let Some(open) = open.get_mut(&id) else { return Order::Close };
        match policy {
            Policy::Pass => Order::Deliver(bytes.len(), Then::GoOn),
            Policy::Cut => Order::Close,
            Policy::CutAfter { .. } => {
                let count = bytes.len().min(open.left_bytes);
                open.left_bytes -= count;
                Order::Deliver(count, if open.left_bytes == 0 { Then::Cut } else { Then::GoOn })
            }
            Policy::Throttle { bytes_per_second } => {
                let share = (*bytes_per_second / TICKS_PER_SECOND).max(1);
                Order::Deliver(bytes.len().min(share), Then::Pause)
            }
            Policy::Corrupt { every_bytes, ways } => {
                if ways.contains(&way) {
                    let passed = &mut open.passed_bytes[way as usize];
                    let flipped = flip(bytes, *passed, *every_bytes, *flipped_bits);
                    *passed += bytes.len();
                    *flipped_bits += flipped;
                    // Noted under the same lock: whoever sets another policy after this closes the connection.
                    open.damaged |= flipped > 0;
                }
                Order::Deliver(bytes.len(), Then::GoOn)
            }
            Policy::Hold => Order::Wait,
        }
    }

    /// Carries bytes on as the policy says; breaks when the connection is to be closed.
    fn carry(&self, id: u64, way: Way, bytes: &mut [u8], mut to: &TcpStream) -> ControlFlow<()> {
        let mut carried = 0;
        while carried < bytes.len() {
            match self.decide(id, way, &mut bytes[carried..]) {
                Order::Wait => thread::park_timeout(TICK),
                Order::Close => return ControlFlow::Break(()),
                Order::Deliver(count, then) => {
                    if to.write_all(&bytes[carried..carried + count]).is_err() {
                        return ControlFlow::Break(());
                    }
                    carried += count;
                    match then {
                        Then::GoOn => {}
                        Then::Pause => thread::park_timeout(TICK),
                        Then::Cut => return ControlFlow::Break(()),
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }
}

impl Line {
    fn prepare(&self) -> std::io::Result<()> {
        for end in [&self.child, &self.parent] {
            end.set_nodelay(true)?;
            end.set_read_timeout(Some(TICK))?;
            end.set_write_timeout(Some(PATIENCE))?;
        }
        Ok(())
    }

    /// Where bytes that go this way come from, and where they go.
    fn ends(&self, way: Way) -> (&TcpStream, &TcpStream) {
        match way {
            Way::Up => (&self.child, &self.parent),
            Way::Down => (&self.parent, &self.child),
        }
    }

    fn shut(&self) {
        for end in [&self.child, &self.parent] {
            // The other side may have closed it already.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

/// How many bytes a connection may carry: the next place of the list, if there is one.
fn left(policy: &Policy, cuts: &mut usize) -> usize {
    match policy {
        Policy::CutAfter { bytes } => {
            let place = bytes.get(*cuts % bytes.len().max(1)).copied().unwrap_or(usize::MAX);
            *cuts += 1;
            place
        }
        Policy::Pass | Policy::Cut | Policy::Throttle { .. } | Policy::Corrupt { .. } | Policy::Hold => usize::MAX,
    }
}

/// Flips one bit of every n-th byte, counted on from those that passed; gives how many, after `before` earlier ones.
fn flip(bytes: &mut [u8], passed: usize, every_bytes: usize, before: u64) -> u64 {
    let mut flipped = 0;
    for (nth, byte) in (passed + 1..).zip(bytes) {
        if nth.is_multiple_of(every_bytes) {
            *byte ^= 1_u8 << ((before + flipped) % 8);
            flipped += 1;
        }
    }
    flipped
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, upstream: SocketAddr) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for child in listener.incoming() {
        if shared.lock().ended {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        let Some((id, line)) = child.ok().and_then(|child| shared.open(child, upstream)) else { continue };
        for way in [Way::Up, Way::Down] {
            let (shared, line) = (Arc::clone(shared), Arc::clone(&line));
            threads.push(thread::spawn(move || pump(&shared, id, &line, way)));
        }
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// Carries what goes one way, until either end or the policy closes the connection.
fn pump(shared: &Shared, id: u64, line: &Line, way: Way) {
    let (mut from, to) = line.ends(way);
    let mut buffer = vec![0; CHUNK_BYTES];
    while shared.stands(id) {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                if shared.carry(id, way, &mut buffer[..count], to).is_break() {
                    break;
                }
            }
            // Nothing came for a tick.
            Err(error)
                if [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted].contains(&error.kind()) => {}
            Err(_) => break,
        }
    }
    shared.close(id);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Gives back what it gets.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        address
    }

    /// Sends bytes and reads as many.
    fn there_and_back(child: &mut TcpStream, sent: &[u8]) -> Vec<u8> {
        child.write_all(sent).unwrap();
        let mut came = vec![0; sent.len()];
        child.read_exact(&mut came).unwrap();
        came
    }

    fn is_closed(child: &mut TcpStream) -> bool {
        !matches!(child.read(&mut [0; 16]), Ok(1..))
    }

    #[test]
    fn one_bit_of_every_fourth_byte_is_flipped_on_one_way_only() {
        let proxy = Proxy::start(echo());
        proxy.set(Policy::Corrupt { every_bytes: 4, ways: &[Way::Up] });
        let mut child = TcpStream::connect(proxy.address()).unwrap();
        let ones: Vec<u32> = there_and_back(&mut child, &[0; 10]).into_iter().map(u8::count_ones).collect();
        assert_eq!(ones, [0, 0, 0, 1, 0, 0, 0, 1, 0, 0]);
        assert_eq!(proxy.flipped_bits(), 2);
        proxy.set(Policy::Pass);
        assert!(is_closed(&mut child), "what has carried damage does not go on");
    }

    #[test]
    fn each_connection_is_cut_at_its_own_place_of_the_list() {
        let proxy = Proxy::start(echo());
        proxy.set(Policy::CutAfter { bytes: vec![15, 12] });
        for back in [5, 2] {
            let mut child = TcpStream::connect(proxy.address()).unwrap();
            child.write_all(&[7; 10]).unwrap();
            let mut came = Vec::new();
            // It may end with a reset: what came before that is there all the same.
            let _ = child.read_to_end(&mut came);
            assert_eq!(came.len(), back);
        }
        assert_eq!(proxy.opened(), 2);
    }

    #[test]
    fn a_cut_line_closes_everybody_until_it_passes_again() {
        let proxy = Proxy::start(echo());
        let mut first = TcpStream::connect(proxy.address()).unwrap();
        assert_eq!(there_and_back(&mut first, b"here"), b"here");
        proxy.set(Policy::Cut);
        assert!(is_closed(&mut first));
        assert!(is_closed(&mut TcpStream::connect(proxy.address()).unwrap()));
        proxy.set(Policy::Pass);
        assert_eq!(there_and_back(&mut TcpStream::connect(proxy.address()).unwrap(), b"again"), b"again");
    }

    #[test]
    fn what_is_held_comes_when_the_line_passes_again() {
        let proxy = Proxy::start(echo());
        proxy.set(Policy::Hold);
        let mut child = TcpStream::connect(proxy.address()).unwrap();
        child.write_all(b"late").unwrap();
        proxy.set(Policy::Pass);
        let mut came = [0; 4];
        child.read_exact(&mut came).unwrap();
        assert_eq!(&came, b"late");
    }

    #[test]
    fn a_throttled_line_carries_everything_and_takes_its_time() {
        let proxy = Proxy::start(echo());
        proxy.set(Policy::Throttle { bytes_per_second: 20_000 });
        let mut child = TcpStream::connect(proxy.address()).unwrap();
        let sent: Vec<u8> = (0..=u8::MAX).cycle().take(3000).collect();
        let began = Instant::now();
        assert_eq!(there_and_back(&mut child, &sent), sent);
        assert!(began.elapsed() > Duration::from_millis(100), "3,000 bytes take 150 ms");
    }
}
