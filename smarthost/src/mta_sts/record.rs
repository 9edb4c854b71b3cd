//! The TXT record that announces a policy: `v=STSv1; id=20260101;`.
//!
//! Contract: total. It counts where exactly one text begins as one; unknown fields are ignored. RFC
//! 8461 §3.1.

/// The id of the policy that the texts of `_mta-sts.DOMAIN` announce.
pub fn id(texts: &[String]) -> Option<&str> {
    let mut announced = texts.iter().filter_map(|text| fields(text));
    let fields = announced.next().filter(|_| announced.next().is_none())?;
    let ids = fields.split(';').filter_map(|field| {
        let (name, value) = blank_ends(field).split_once('=')?;
        (name == "id").then_some(value)
    });
    let mut ids = ids.into_iter();
    let id = ids.next().filter(|_| ids.next().is_none())?;
    let is_id = (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    is_id.then_some(id)
}

/// What stands behind the version.
fn fields(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("v=STSv1")?;
    rest.trim_start_matches([' ', '\t']).strip_prefix(';')
}

fn blank_ends(field: &str) -> &str {
    field.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_record_that_says_its_version_as_the_rfc_does_announces_a_policy() {
        let long = format!("v=STSv1; id={};", "a".repeat(33));
        for (texts, announced) in [
            (&["v=STSv1; id=1;", "v=STSv1; id=2;"][..], None),
            (&["google-x=1", "v=STSv1; id=20260101;"], Some("20260101")),
            (&["v=STSv1 ; id=7"], Some("7")),
            (&["V=STSV1; id=7"], None),
            (&["v=STSv1;"], None),
            (&["v=STSv1; id=7; future=x"], Some("7")),
            (&["v=STSv1; future=x ;\tid=7 ;"], Some("7")),
            (&["v=STSv1;id=7"], Some("7")),
            (&["v=STSv1"], None),
            (&["v=STSv10; id=7"], None),
            (&["v=STSv1; id=7; id=8"], None),
            (&["v=STSv1; id=7-8"], None),
            (&["v=STSv1; id="], None),
            (&["v=STSv1; id = 7"], None),
            (&[" v=STSv1; id=7"], None),
            (&["id=7; v=STSv1;"], None),
            (&[&long], None),
            (&["v=STSv1; id=7;", "v=STSv1"], Some("7")),
            (&[], None),
        ] {
            let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
            assert_eq!(id(&texts), announced, "{texts:?}");
        }
    }
}
