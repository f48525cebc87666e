//! Blocks that wait to be copied elsewhere: those of the first level that a file of uploads, such as Thanos' shipper
//! keeps, does not name are not merged yet.

use std::collections::HashSet;
use std::path::Path;

use storage::Fs;

use crate::block::BlockMeta;

#[derive(serde::Deserialize)]
struct Uploads {
    #[serde(default)]
    uploaded: HashSet<String>,
}

/// Drops from `metas` the first block that waits and all after it, in order of their names: merging around it would
/// leave gaps of small blocks. A file that cannot be read holds back nothing.
///
/// # Errors
/// What is wrong with the file; `metas` is whole then.
pub(super) fn without_waiting(fs: &dyn Fs, file: &Path, metas: &mut Vec<&BlockMeta>) -> Result<(), String> {
    if metas.iter().all(|m| m.compaction.level > 1) {
        return Ok(());
    }
    let say = |what: &str, e: &dyn std::fmt::Display| {
        format!("cannot {what} TSDB upload meta file path={} err={e}", file.display())
    };
    let text = fs.read(file).map_err(|e| say("open", &e))?;
    let Uploads { uploaded } = serde_json::from_slice(&text).map_err(|e| say("parse", &e))?;
    metas.sort_by_key(|m| m.ulid);
    let waits = |m: &&BlockMeta| m.compaction.level <= 1 && !uploaded.contains(&m.ulid.to_string());
    let kept = metas.iter().position(waits).unwrap_or(metas.len());
    metas.truncate(kept);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use storage::MemFs;

    use super::*;
    use crate::block::Ulid;

    #[test]
    fn a_block_waits_for_its_upload_with_all_after_it() {
        let block = |number: u8, level: u32| {
            let mut meta = BlockMeta::from_head(Ulid::new(i64::from(number), 0), 0, 10);
            meta.compaction.level = level;
            meta
        };
        let blocks = [block(1, 1), block(2, 2), block(3, 1), block(4, 1)];
        let name = |i: usize| blocks[i].ulid.to_string();
        let left = |text: Option<String>| {
            let fs = MemFs::new();
            if let Some(text) = text {
                fs.create(Path::new("uploads.json")).unwrap().append(text.as_bytes()).unwrap();
            }
            let mut metas: Vec<_> = blocks.iter().collect();
            let result = without_waiting(&fs, Path::new("uploads.json"), &mut metas);
            result.map(|()| metas.len())
        };
        assert_eq!(left(Some(r#"{"version":1,"uploaded":[]}"#.to_owned())), Ok(0));
        assert_eq!(left(Some(format!(r#"{{"uploaded":["{}"]}}"#, name(0)))), Ok(2));
        assert_eq!(left(Some(format!(r#"{{"uploaded":["{}","{}"]}}"#, name(0), name(3)))), Ok(2));
        let all = format!(r#"{{"uploaded":["{}","{}","{}"]}}"#, name(0), name(2), name(3));
        assert_eq!(left(Some(all)), Ok(4));
        assert!(
            left(Some("[".to_owned()))
                .unwrap_err()
                .starts_with("cannot parse TSDB upload meta file path=uploads.json")
        );
        assert!(left(None).unwrap_err().starts_with("cannot open TSDB upload meta file"));
    }
}
