//! Which representation a client would rather have (RFC 9110 §12.5.1).

use axum::http::{HeaderMap, header};

/// The offer that the `Accept` headers like best; of equals the first. `None` when they take none of them.
pub(crate) fn preferred<'a>(headers: &HeaderMap, offers: &[&'a str]) -> Option<&'a str> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<Range> = values.flat_map(|value| value.split(',')).filter_map(Range::read).collect();
    if ranges.is_empty() {
        return offers.first().copied();
    }
    let mut best = None;
    for offer in offers {
        let quality = ranges.iter().filter(|range| range.holds(offer)).max_by_key(|range| range.exactness());
        let quality = quality.map_or(0, |range| range.quality);
        if quality > best.map_or(0, |(_, most)| most) {
            best = Some((*offer, quality));
        }
    }
    best.map(|(offer, _)| offer)
}

/// `type/subtype;q=0.5`.
struct Range {
    kind: String,
    /// In thousandths.
    quality: u16,
}

impl Range {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let kind = parts.next()?.to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let weight = weight.map_or(Some(1.0), |text| text.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)));
        let quality = (weight.unwrap_or(1.0) * 1000.0) as u16;
        // What is no media type says nothing.
        kind.contains('/').then_some(Self { kind, quality })
    }

    fn holds(&self, offer: &str) -> bool {
        match self.kind.split_once('/') {
            Some(("*", "*")) => true,
            Some((kind, "*")) => offer.split_once('/').is_some_and(|(own, _)| own == kind),
            _ => self.kind == offer,
        }
    }

    /// An exact range outweighs `type/*`, and that `*/*`.
    fn exactness(&self) -> u8 {
        match self.kind.as_str() {
            "*/*" => 0,
            kind if kind.ends_with("/*") => 1,
            _ => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_best_liked_offer_is_taken() {
        let offers = ["text/plain", "text/html", "application/json"];
        for (accept, expected) in [
            ("", Some("text/plain")),
            ("*/*", Some("text/plain")),
            ("application/json", Some("application/json")),
            ("APPLICATION/JSON", Some("application/json")),
            ("text/html;q=0.5, application/json", Some("application/json")),
            ("text/*;q=0.5, text/html", Some("text/html")),
            ("*/*, text/plain;q=0", Some("text/html")),
            ("application/*", Some("application/json")),
            ("application/xml", None),
            ("nonsense", Some("text/plain")),
            ("nonsense, text/html", Some("text/html")),
            ("application/json;q=0", None),
            ("application/json;q=0.000", None),
            ("application/json;q=much", Some("application/json")),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(preferred(&headers, &offers), expected, "{accept}");
        }
        assert_eq!(preferred(&HeaderMap::new(), &offers), Some("text/plain"));
    }
}
