//! The palette, as the contrast rules of WCAG 2 (AA) measure it.

use super::STYLE;

/// Text of this size needs it.
const OF_TEXT: f64 = 4.5;

/// The colour of that name in the light and in the dark.
fn colours(name: &str) -> [[f64; 3]; 2] {
    let start = format!("--{name}: light-dark(#");
    let rest = STYLE.split(&start).nth(1).expect("it is in the palette");
    let (light, rest) = rest.split_once(", #").expect("there are two");
    let (dark, _) = rest.split_once(')').expect("it ends");
    [light, dark].map(channels)
}

/// `fff` or `ffffff`, each channel from 0 to 1.
fn channels(hex: &str) -> [f64; 3] {
    let each = hex.len() / 3;
    [0, 1, 2].map(|at| {
        let digits = hex[at * each..(at + 1) * each].repeat(3 - each);
        f64::from(u8::from_str_radix(&digits, 16).expect("it is hexadecimal")) / 255.0
    })
}

fn luminance(colour: [f64; 3]) -> f64 {
    let linear = colour.map(|it| {
        if it <= 0.04045 {
            it / 12.92
        } else {
            ((it + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

fn contrast(one: [f64; 3], two: [f64; 3]) -> f64 {
    let (one, two) = (luminance(one), luminance(two));
    (one.max(two) + 0.05) / (one.min(two) + 0.05)
}

#[test]
fn contrast_is_measured_as_the_standard_does() {
    let of = |one, two| contrast(channels(one), channels(two));
    assert!((of("fff", "000000") - 21.0).abs() < 0.01);
    // The grey that is known to be just enough, and the one beside it.
    assert!(of("767676", "fff") >= OF_TEXT && of("777777", "fff") < OF_TEXT);
}

#[test]
fn every_text_is_told_from_what_is_behind_it() {
    for text in ["fg", "dim", "link", "red", "amber", "blue", "green"] {
        for ground in ["bg", "soft"] {
            for theme in [0, 1] {
                let ratio = contrast(colours(text)[theme], colours(ground)[theme]);
                assert!(
                    ratio >= OF_TEXT,
                    "{text} on {ground} in {theme}: {ratio:.2}"
                );
            }
        }
    }
}

#[test]
fn every_colour_is_of_the_palette() {
    let (palette, rest) = STYLE.split_once('}').expect("it begins with the palette");
    assert!(palette.starts_with(":root {"));
    assert!(
        !rest
            .replace("#filter", "")
            .replace("#workloads", "")
            .replace("#matrix", "")
            .contains('#')
    );
    for function in ["rgb", "hsl", "oklch", "color-mix"] {
        assert!(!rest.contains(&format!("{function}(")), "{function}");
    }
}
