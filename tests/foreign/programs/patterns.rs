// A Rust program for cargo to build against the regex crate.
use regex::{Captures, Regex, RegexSet};

fn text() -> String {
    (0..2000u32).map(|i| format!("key{} = \"value {}\"; # {:x}\n", i % 97, i * 7919 % 1009, i)).collect()
}

fn main() {
    let text = text();
    let pair = Regex::new(r#"(?m)^(?P<key>\w+)\s*=\s*"(?P<value>[^"]*)";"#).unwrap();
    println!("{} pairs", pair.captures_iter(&text).count());
    let swapped = pair.replace_all(&text, |c: &Captures| format!("{} <- {}", &c["value"], &c["key"]));
    println!("{} bytes, {:?}", swapped.len(), swapped.lines().nth(1234));
    let set = RegexSet::new(["value 1", "f+$", r"key\d{2}", "never"]).unwrap();
    println!("{:?}", set.matches(&text).into_iter().collect::<Vec<_>>());
    println!("{:?}", Regex::new("(unclosed").is_err());
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_line_is_a_pair() {
        assert_eq!(super::text().lines().count(), 2000);
    }
}
