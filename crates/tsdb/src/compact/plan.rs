//! Which blocks to merge next: Prometheus' levelled plan, from what blocks say about themselves.

use crate::block::{BlockMeta, HINT_FROM_SELECTED_SERIES, HINT_FROM_STALE_SERIES, Ulid};

/// How many times longer the blocks of a level are than those of the level below.
const RANGE_FACTOR: i64 = 3;
/// Levels that Prometheus plans for; the longest allowed block ends the list before.
const LEVELS_MAX: u32 = 10;
/// Deletions per series from which on a block is written again without the deleted samples.
const TOMBSTONES_PER_SERIES: f64 = 0.05;
/// The longest block, whatever the retention: 31 days.
const BLOCK_DURATION_MAX_MS: i64 = 31 * 24 * 3600 * 1000;

/// Span of the longest block that compaction makes: a tenth of the retention (0: for ever), at
/// most 31 days and at least the shortest block.
#[must_use]
pub fn max_block_duration_ms(min_block_duration_ms: i64, retention_ms: i64) -> i64 {
    let tenth = if retention_ms > 0 { retention_ms / 10 } else { BLOCK_DURATION_MAX_MS };
    tenth.min(BLOCK_DURATION_MAX_MS).max(min_block_duration_ms)
}

/// The spans of blocks by level: the shortest, and each three times the one before, up to `max_ms`.
#[must_use]
pub fn block_ranges_ms(min_ms: i64, max_ms: i64) -> Vec<i64> {
    let ranges = (0..LEVELS_MAX).map(|level| min_ms.saturating_mul(RANGE_FACTOR.saturating_pow(level)));
    ranges.take_while(|range| *range <= max_ms).collect()
}

/// The blocks to merge into one, in order of their start; empty where there is nothing to do. A
/// single block is to be written again without its deleted samples.
///
/// Blocks that overlap come first, unless that is not wanted (`merge_overlaps`). Else as many as fill a range of `ranges_ms` (ascending), or lie
/// in one that the newest block is past, none of them marked as failed; the newest is left alone
/// so that it can be copied before it is merged. Else the newest of the long ones with many
/// deletions. Blocks of a partial view of the head are merged with their like only, because the
/// mark that says so must stay true (Prometheus `LeveledCompactor.plan`).
#[must_use]
pub fn plan(metas: &[&BlockMeta], ranges_ms: &[i64], merge_overlaps: bool) -> Vec<Ulid> {
    let mut sorted = metas.to_vec();
    sorted.sort_by_key(|m| (m.min_ms, m.ulid));
    let class = |m: &BlockMeta| match &m.compaction {
        c if c.has_hint(HINT_FROM_STALE_SERIES) => 1,
        c if c.has_hint(HINT_FROM_SELECTED_SERIES) => 2,
        _ => 0,
    };
    for number in 0..3 {
        let of_class: Vec<_> = sorted.iter().copied().filter(|m| class(m) == number).collect();
        let planned = plan_class(&of_class, ranges_ms, merge_overlaps);
        if !planned.is_empty() {
            return planned.iter().map(|m| m.ulid).collect();
        }
    }
    Vec::new()
}

fn plan_class<'a>(metas: &[&'a BlockMeta], ranges_ms: &[i64], merge_overlaps: bool) -> Vec<&'a BlockMeta> {
    let overlapping = if merge_overlaps { overlapping(metas) } else { &[] };
    if !overlapping.is_empty() {
        return overlapping.to_vec();
    }
    let Some((_newest, older)) = metas.split_last() else { return Vec::new() };
    let full = full_range(older, ranges_ms);
    if !full.is_empty() {
        return full.to_vec();
    }
    deleted_from(older, ranges_ms).into_iter().collect()
}

/// The first run of blocks, in order of their start, of which each overlaps one before it.
fn overlapping<'m, 'a>(metas: &'m [&'a BlockMeta]) -> &'m [&'a BlockMeta] {
    let Some(first) = metas.first() else { return &[] };
    let (mut end_ms, mut start) = (first.max_ms, None);
    for (i, m) in metas.iter().enumerate().skip(1) {
        match start {
            None if m.min_ms < end_ms => start = Some(i - 1),
            Some(start) if m.min_ms >= end_ms => return &metas[start..i],
            _ => {}
        }
        end_ms = end_ms.max(m.max_ms);
    }
    start.map_or(&[], |start| &metas[start..])
}

/// The first range above the shortest whose blocks are complete.
fn full_range<'m, 'a>(metas: &'m [&'a BlockMeta], ranges_ms: &[i64]) -> &'m [&'a BlockMeta] {
    let Some(newest) = metas.last() else { return &[] };
    for range_ms in ranges_ms.iter().skip(1) {
        for part in split_by_range(metas, *range_ms) {
            let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
            let fills = last.max_ms.saturating_sub(first.min_ms) == *range_ms;
            let failed = part.iter().any(|m| m.compaction.failed);
            if part.len() > 1 && !failed && (fills || last.max_ms <= newest.min_ms) {
                return part;
            }
        }
    }
    &[]
}

/// The blocks by aligned ranges of `range_ms`; those that lie in no single one are left out.
fn split_by_range<'m, 'a>(metas: &'m [&'a BlockMeta], range_ms: i64) -> Vec<&'m [&'a BlockMeta]> {
    let mut parts = Vec::new();
    let mut rest = metas;
    while let Some(first) = rest.first() {
        let start_ms = first.min_ms.div_euclid(range_ms).saturating_mul(range_ms);
        let end_ms = start_ms.saturating_add(range_ms);
        let within = rest.iter().take_while(|m| m.max_ms <= end_ms).count();
        let (part, tail) = rest.split_at(within.max(1));
        rest = tail;
        if within > 0 {
            parts.push(part);
        }
    }
    parts
}

/// A block with so many deletions that it is worth writing again.
fn deleted_from<'a>(metas: &[&'a BlockMeta], ranges_ms: &[i64]) -> Option<&'a BlockMeta> {
    let long_ms = ranges_ms.get(ranges_ms.len() / 2).copied().unwrap_or(i64::MAX);
    for m in metas.iter().rev() {
        let (deletions, series) = (m.stats.num_tombstones, m.stats.num_series);
        if m.max_ms.saturating_sub(m.min_ms) < long_ms {
            // A short one is worth it only where nothing may be left of it.
            return Some(*m).filter(|_| deletions > 0 && deletions >= series);
        }
        if deletions as f64 / series.saturating_add(1) as f64 > TOMBSTONES_PER_SERIES {
            return Some(m);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::HINT_FROM_OUT_OF_ORDER;

    /// Number, start, end, and what else there is to say.
    type Given = (u128, i64, i64, &'static str);

    fn meta((number, min_ms, max_ms, more): Given) -> BlockMeta {
        let mut m = BlockMeta::from_head(Ulid::new(1, number), min_ms, max_ms);
        m.stats.num_series = 10;
        match more {
            "" => {}
            "failed" => m.compaction.failed = true,
            deletions if deletions.parse::<u64>().is_ok() => {
                m.stats.num_tombstones = deletions.parse().unwrap();
            }
            hint => m.compaction.hints.push(hint.to_owned()),
        }
        m
    }

    fn check(what: &str, blocks: &[Given], want: &[u128]) {
        let metas: Vec<_> = blocks.iter().map(|b| meta(*b)).collect();
        let got = plan(&metas.iter().collect::<Vec<_>>(), &[20, 60, 180, 540], true);
        let want: Vec<_> = want.iter().map(|n| Ulid::new(1, *n)).collect();
        assert_eq!(got, want, "{what}");
    }

    #[test]
    fn ranges() {
        assert_eq!(block_ranges_ms(20, 540), [20, 60, 180, 540]);
        assert_eq!(block_ranges_ms(20, 539), [20, 60, 180]);
        assert_eq!(block_ranges_ms(20, 20), [20]);
        assert_eq!(block_ranges_ms(1, i64::MAX).len(), 10);
        let (hour, day) = (3_600_000, 24 * 3_600_000);
        assert_eq!(max_block_duration_ms(2 * hour, 15 * day), 36 * hour);
        assert_eq!(max_block_duration_ms(2 * hour, 0), 31 * day);
        assert_eq!(max_block_duration_ms(2 * hour, 900 * day), 31 * day);
        assert_eq!(max_block_duration_ms(2 * hour, hour), 2 * hour);
    }

    #[test]
    fn levels() {
        check("nothing", &[], &[]);
        check("one", &[(1, 0, 20, "")], &[]);
        check("the newest does not count", &[(1, 0, 20, ""), (2, 20, 40, ""), (3, 40, 60, "")], &[]);
        check(
            "a full range",
            &[(1, 0, 20, ""), (2, 20, 40, ""), (3, 40, 60, ""), (4, 60, 80, "")],
            &[1, 2, 3],
        );
        check(
            "given in any order",
            &[(4, 60, 80, ""), (3, 0, 20, ""), (1, 40, 60, ""), (2, 20, 40, "")],
            &[3, 2, 1],
        );
        check("a gap, the range not past", &[(1, 0, 20, ""), (2, 40, 58, ""), (3, 60, 80, "")], &[]);
        check(
            "a gap, the range past",
            &[(1, 0, 20, ""), (2, 40, 58, ""), (3, 60, 80, ""), (4, 80, 100, "")],
            &[1, 2],
        );
        check(
            "ranges are aligned",
            &[(1, 20, 40, ""), (2, 40, 60, ""), (3, 60, 80, ""), (4, 80, 100, "")],
            &[1, 2],
        );
        check(
            "before zero",
            &[(1, -60, -40, ""), (2, -40, -20, ""), (3, -20, 0, ""), (4, 0, 20, "")],
            &[1, 2, 3],
        );
        check(
            "short before long",
            &[
                (1, 0, 60, ""),
                (2, 60, 120, ""),
                (3, 120, 180, ""),
                (4, 180, 200, ""),
                (5, 200, 220, ""),
                (6, 220, 240, ""),
                (7, 240, 260, ""),
            ],
            &[4, 5, 6],
        );
        check(
            "the long ones then",
            &[(1, 0, 60, ""), (2, 60, 120, ""), (3, 120, 180, ""), (8, 180, 240, ""), (7, 240, 260, "")],
            &[1, 2, 3],
        );
        check(
            "one longer than the range is passed over",
            &[(1, 0, 70, ""), (2, 80, 100, ""), (3, 100, 120, ""), (4, 120, 140, ""), (5, 140, 160, "")],
            &[2, 3],
        );
        check(
            "a failed one holds its range up",
            &[(1, 0, 20, ""), (2, 20, 40, "failed"), (3, 40, 60, ""), (4, 60, 80, "")],
            &[],
        );
    }

    #[test]
    fn overlaps() {
        check("two", &[(1, 0, 20, ""), (2, 19, 40, "")], &[1, 2]);
        check("failed ones too", &[(1, 0, 20, "failed"), (2, 19, 40, "")], &[1, 2]);
        check("touching is not overlapping", &[(1, 0, 20, ""), (2, 20, 40, "")], &[]);
        check("the same span", &[(2, 0, 20, ""), (1, 0, 20, "")], &[1, 2]);
        check("chained", &[(1, 0, 20, ""), (2, 15, 40, ""), (3, 30, 50, ""), (4, 50, 60, "")], &[1, 2, 3]);
        check("one within another", &[(1, 0, 60, ""), (2, 5, 10, ""), (3, 30, 50, "")], &[1, 2, 3]);
        check(
            "the first group only",
            &[(1, 0, 20, ""), (2, 20, 40, ""), (3, 30, 50, ""), (4, 60, 80, ""), (5, 70, 90, "")],
            &[2, 3],
        );
        check(
            "before full ranges",
            &[(1, 0, 20, ""), (2, 20, 40, ""), (3, 40, 60, ""), (4, 60, 80, ""), (5, 70, 90, "")],
            &[4, 5],
        );
    }

    #[test]
    fn deletions() {
        check("long and many", &[(1, 0, 540, "1"), (2, 540, 560, "")], &[1]);
        check("long and none", &[(1, 0, 540, "0"), (2, 540, 560, "")], &[]);
        check("the newest is left alone", &[(1, 0, 540, "9")], &[]);
        check("short and some", &[(1, 0, 20, "9"), (2, 20, 40, "")], &[]);
        check("short and all", &[(1, 0, 20, "10"), (2, 20, 40, "")], &[1]);
        check(
            "a short one hides those before",
            &[(1, 0, 540, "9"), (2, 540, 560, ""), (3, 560, 580, "")],
            &[],
        );
        check(
            "the newest of the long ones",
            &[(1, 0, 540, "9"), (2, 540, 1080, "9"), (3, 1080, 1100, "")],
            &[2],
        );
    }

    #[test]
    fn classes() {
        let stale = HINT_FROM_STALE_SERIES;
        check("not mixed", &[(1, 0, 20, ""), (2, 0, 20, stale)], &[]);
        check("their like", &[(1, 0, 20, ""), (2, 0, 20, stale), (3, 0, 20, stale)], &[2, 3]);
        check(
            "others first",
            &[(1, 0, 20, stale), (2, 0, 20, stale), (3, 0, 20, ""), (4, 0, 20, "")],
            &[3, 4],
        );
        check(
            "three classes",
            &[
                (1, 0, 20, stale),
                (2, 0, 20, HINT_FROM_SELECTED_SERIES),
                (3, 0, 20, HINT_FROM_SELECTED_SERIES),
            ],
            &[2, 3],
        );
        check("out of order is no class", &[(1, 0, 20, ""), (2, 0, 20, HINT_FROM_OUT_OF_ORDER)], &[1, 2]);
    }

    #[test]
    fn times_at_the_ends_of_the_world() {
        check("span", &[(1, i64::MIN, i64::MAX, "1"), (2, i64::MAX, i64::MAX, "")], &[1]);
        check("start", &[(1, i64::MIN, i64::MIN + 1, ""), (2, 0, 20, ""), (3, 20, 40, "")], &[]);
    }
}
