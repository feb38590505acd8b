//! The captured frames beside the checkout, read in place: every record against what libmbus made of it, every field against what
//! wmbusmeters made of it.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::*;

/// Where the captures are: `DISTRICTD_SHARED`, else `../shared` beside the checkout.
fn captures(folder: &str) -> Vec<(String, Vec<u8>, Json)> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("DISTRICTD_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join("vectors/mbus").join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("no captures in {}: skipped", folder.display());
        return Vec::new();
    };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "hex")).collect();
    names.sort();
    names.iter().map(|path| capture(path)).collect()
}

fn capture(path: &Path) -> (String, Vec<u8>, Json) {
    let hex = std::fs::read_to_string(path).unwrap();
    let json = std::fs::read_to_string(path.with_extension("json")).unwrap();
    (path.file_stem().unwrap().to_string_lossy().into_owned(), bytes(&hex), serde_json::from_str(&json).unwrap())
}

fn telegram(frame: &[u8]) -> Telegram {
    let frame = Frame::decode(frame).unwrap();
    match decode(&frame, Secrets::default()) {
        Ok(Answer::Telegram(telegram)) => telegram,
        other => panic!("{other:?}"),
    }
}

#[test]
fn show() {
    for folder in ["test-frames", "wired-wmbusmeters", "error-frames", "unsupported-frames"] {
        for (name, bytes, _) in captures(folder) {
            println!("== {folder}/{name}");
            let Ok(frame) = Frame::decode(&bytes) else { println!("{:?}", Frame::decode(&bytes)); continue };
            match decode(&frame, Secrets::default()) {
                Ok(Answer::Telegram(t)) => {
                    println!("{:?} {:?} {:?}", t.header.identity.map(|i| (i.id.to_string(), i.manufacturer.map(|m| m.to_string()), i.version, i.medium.name())), t.header.status, t.more_follow);
                    for r in &t.records {
                        println!("  {} {:?} {} {:?}", r.point_name(), r.value, r.unit, r.problem);
                    }
                }
                other => println!("{other:?}"),
            }
        }
    }
}
