//! What programs pipe into `sendmail`, made canonical: see `Intake`. Facts: ssmtp, nullmailer and dma lose mail here.
/// Turns raw input into canonical CRLF lines, in pieces: strips CR before LF line by line, makes other CRs and NULs harmless, drops leading
/// `From ` and `>From ` lines, puts the missing empty line between header and body. A lone dot is data.
#[derive(Default, Debug)]
pub struct Intake {}
impl Intake {
    /// Takes raw bytes, appends canonical bytes to `out`.
    pub fn feed(&mut self, _input: &[u8], _out: &mut Vec<u8>) {
        todo!()
    }
    /// End of input: completes the last line (and the empty line after a header without body).
    pub fn finish(self, _out: &mut Vec<u8>) {
        todo!()
    }
}
