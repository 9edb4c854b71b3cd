//! `write-documents MANUAL FOLDER`: writes what [`documents`] makes of the pages in MANUAL to
//! FOLDER.

use std::{env, fs, io, path::Path};

fn write(manual: &Path, folder: &Path) -> io::Result<()> {
    for (name, text) in documents::files(manual)? {
        let file = folder.join(name);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        system::fs::replace(&file, text.as_bytes(), 0o644)?;
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [manual, folder] = arguments.as_slice() else {
        return Err(io::Error::other("usage: write-documents MANUAL FOLDER"));
    };
    write(Path::new(manual), Path::new(folder))
}
