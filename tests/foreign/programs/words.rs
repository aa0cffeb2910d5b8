// A Rust program for rustc to compile: maps, strings, boxed closures, threads that hand blocks to one another.
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::mpsc;
use std::thread;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }
}

fn word(draw: &mut Random) -> String {
    let length = 2 + draw.next() % 6;
    (0..length).map(|_| (b'a' + (draw.next() % 26) as u8) as char).collect()
}

fn count(seed: u64, words: usize) -> HashMap<String, Vec<usize>> {
    let mut draw = Random(seed);
    let mut seen: HashMap<String, Vec<usize>> = HashMap::new();
    for i in 0..words {
        let mut w = word(&mut draw);
        w.truncate(3);
        seen.entry(w).or_default().push(i);
    }
    seen
}

fn main() {
    let (sender, receiver) = mpsc::channel();
    let threads: Vec<_> = (0..4)
        .map(|id| {
            let sender = sender.clone();
            thread::spawn(move || {
                for part in 0..5 {
                    sender.send(count(id * 10 + part, 20000)).unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    let mut total: BTreeMap<String, usize> = BTreeMap::new();
    for part in receiver {
        for (word, places) in part {
            *total.entry(word).or_insert(0) += places.len();
        }
    }
    for t in threads {
        t.join().unwrap();
    }
    let mut ranked: Vec<_> = total.iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    println!("{} words, first {:?}", ranked.len(), &ranked[..5]);

    let mut queue: VecDeque<Box<dyn Fn(u64) -> u64 + Send>> = VecDeque::new();
    for i in 0..1000u64 {
        let captured = vec![i; (i % 50) as usize];
        queue.push_back(Box::new(move |x| x ^ captured.iter().sum::<u64>()));
    }
    let folded = queue.iter().fold(1, |x, f| f(x).rotate_left(3));
    println!("{} closures fold to {}", queue.len(), folded);
    let caught = thread::spawn(|| -> usize { panic!("as asked: {}", "x".repeat(10)) }).join();
    println!("panicked: {}", caught.is_err());
}
