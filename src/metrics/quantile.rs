//! Percentiles of a histogram: within a bucket, values are taken as spread evenly.

/// The value below which this part of all values lies; `None` if there are none. `buckets` are cumulative, and the last has no
/// bound: its values count as the last bound, since more is not known of them.
pub fn quantile(buckets: &[(Option<u64>, u64)], part: f64) -> Option<f64> {
    let all = buckets.last().map_or(0, |(_, count)| *count);
    if all == 0 {
        return None;
    }
    let rank = part * all as f64;
    let (mut lower, mut below) = (0, 0);
    for (upper, count) in buckets {
        let Some(upper) = *upper else { break };
        if *count > below && *count as f64 >= rank {
            let within = (rank - below as f64) / (*count - below) as f64;
            return Some(lower as f64 + within.clamp(0.0, 1.0) * (upper - lower) as f64);
        }
        (lower, below) = (upper, *count);
    }
    Some(lower as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_the_bounds_of_a_bucket() {
        let buckets = [(Some(100), 0), (Some(200), 90), (Some(400), 98), (None, 100)];
        for (part, value) in [(0.0, 100.0), (0.45, 150.0), (0.9, 200.0), (0.94, 300.0), (0.98, 400.0), (0.99, 400.0), (1.0, 400.0)] {
            assert_eq!(quantile(&buckets, part), Some(value), "{part}");
        }
        assert_eq!(quantile(&[(Some(100), 0), (None, 0)], 0.5), None);
        assert_eq!(quantile(&[], 0.5), None);
    }
}
