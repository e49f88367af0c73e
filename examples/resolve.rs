//! Resolves a name: `cargo run --example resolve -- NAME [TYPE]`. With a third word, through this forwarder.

use cairn::{Name, Resolver};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (name, record_type) = (words.first().map_or("www.example.com", String::as_str), words.get(1).map_or("A", String::as_str));
    let mut builder = Resolver::builder();
    if let Some(forwarder) = words.get(2) {
        builder = builder.forward(Name::root(), [forwarder.parse()?]).query_loopback(true);
    }
    let answer = builder.build()?.resolve_blocking(name, record_type)?;
    println!("{:?}, {}", answer.status(), if answer.is_secure() { "validated" } else { "not validated" });
    answer.records().iter().for_each(|record| println!("{record}"));
    answer.errors().iter().for_each(|error| println!("{error}"));
    Ok(())
}
