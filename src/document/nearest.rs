//! The word that was probably meant.

/// The candidate closest to a word, if one is close enough to be a slip of the pen: about one wrong letter in three,
/// capitals not counted. Of equally close ones, the first.
pub fn nearest<'a>(word: &str, among: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let limit = (word.chars().count() / 3).max(1);
    among
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(word.chars().count()) <= limit)
        .map(|candidate| {
            (
                strsim::osa_distance(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn offers_slips_and_nothing_far_fetched() {
        let known = [
            "requiredDrop",
            "allowedAdd",
            "mode",
            "runAsUser",
            "min",
            "max",
        ];
        for (word, expected) in [
            ("requiredDrops", Some("requiredDrop")),
            ("requierdDrop", Some("requiredDrop")),
            ("RUNASUSER", Some("runAsUser")),
            ("runAsUsers", Some("runAsUser")),
            ("mod", Some("mode")),
            ("mix", Some("min")),
            ("x", None),
            ("", None),
            ("namespace", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
