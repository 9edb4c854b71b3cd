//! Chunks whose size is not understood (RFC 3030 §2).

use super::told;

#[test]
fn a_chunk_whose_length_nobody_knows_is_not_read_as_commands() {
    let opening = "EHLO c.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n";
    for bdat in [
        "BDAT 3 LAST X",
        "BDAT 18446744073709551616",
        "BDAT 99999999999999999999999 LAST",
        "BDAT -1",
        "BDAT 3 LASTLY",
        "BDAT",
        "BDAT 0x10",
        "bdat +3 last",
        "BDAT 20\x01 LAST",
        " BDAT\x0020 LAST",
        "BDAT\x0b20",
        "bdat\x7f",
        "BDAT 20 LA\u{85}ST",
        "BDAT\u{a0}20 LAST",
        "BDAT20 LAST",
        "BDAT: 20",
    ] {
        for before in ["", opening] {
            let story = told(
                format!("{before}{bdat}\r\nEXPN smuggled\r\n").as_bytes(),
                false,
            );
            let text = story.text();
            assert!(
                text.contains("the chunk cannot be told from commands") && !text.contains("502 "),
                "{bdat}: {text}"
            );
            assert_eq!(story.closed, 1, "{bdat}");
        }
    }
}

#[test]
fn a_chunk_that_is_named_in_bytes_that_are_no_text_ends_the_session_and_another_verb_does_not() {
    let story = told(b"BDAT 20 \xff LAST\r\nEXPN smuggled\r\n", false);
    assert!(story.closed == 1 && !story.text().contains("502 "));
    for other in ["BDATA 20", "XBDAT 20", "BDA 20"] {
        let story = told(format!("{other}\r\nEXPN list\r\n").as_bytes(), false);
        assert!(
            story.closed == 0 && story.text().contains("502 "),
            "{other}"
        );
    }
}
