//! Writes a saved cache of plain names, as large as is asked for, to try out starts and saves with:
//! `cargo run --release --example saved_cache -- FILE MIB`.

use std::fs::File;
use std::io::BufWriter;
use std::process::ExitCode;

use cairn::cache::{Cache, CacheLimits, Moment};
use cairn::env::{Clock, Random, RealClock};
use cairn::record::{Name, Rank, RrSet, Rtype, Security};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, mib] = &args[..] else {
        eprintln!("usage: saved_cache FILE MIB");
        return ExitCode::from(2);
    };
    match write(file, mib) {
        Ok(count) => {
            println!("{count} entries");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{file}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(file: &str, mib: &str) -> Result<usize, Box<dyn std::error::Error>> {
    let wanted = mib.parse::<usize>()? << 20;
    let cache = Cache::new(CacheLimits { bytes: 4 * wanted, ..CacheLimits::default() }, &Random::from_seed(1));
    let now = Moment { boot_id: [0; 16], boot: RealClock.boot(), wall: RealClock.wall() };
    let (mut at, mut written) = (0u32, 0);
    while written < wanted {
        // The size of one entry of the file: its heads, name, and an address.
        let name = Name::parse(&format!("www.n{at:07}.example."))?;
        written += 33 + name.as_wire().len();
        cache.sets().put(&RrSet::with(name, Rtype::A, 86_400, &at.to_be_bytes()), Rank::AuthAnswer, Security::Insecure, now.boot);
        at += 1;
    }
    Ok(cache.save(&now, &mut BufWriter::new(File::create(file)?))?)
}
