//! Files that settings name: ordinary files of at most 1 MiB. A device or a pipe would fill the
//! memory or never end.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// Largest file that is read, in bytes; a bundle of all public authorities has 250 kB.
const LARGEST: u64 = 1024 * 1024;

/// Reads a file that a setting names.
///
/// # Errors
/// If it cannot be read, is no ordinary file, or has more than 1 MiB.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let wrong = |problem: &str| Err(io::Error::new(ErrorKind::InvalidInput, problem));
    // Looked at before it is opened: opening a pipe waits for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return wrong("it is no ordinary file");
    }
    let mut content = Vec::new();
    File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return wrong("it is larger than 1 MiB");
    }
    Ok(content)
}

/// The same for text.
///
/// # Errors
/// As [`read_file`], and if it is not UTF-8.
pub fn read_text_file(path: &Path) -> io::Result<String> {
    String::from_utf8(read_file(path)?)
        .map_err(|_not_utf8| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_file_is_read_up_to_its_limit_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let largest = usize::try_from(LARGEST).unwrap();
        std::fs::write(&path, vec![b'x'; largest]).unwrap();
        assert_eq!(read_file(&path).unwrap().len(), largest);
        std::fs::write(&path, vec![b'x'; largest + 1]).unwrap();
        assert!(read_file(&path).is_err());
        std::fs::write(&path, [0xff]).unwrap();
        assert!(read_text_file(&path).is_err());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for other in [Path::new("/dev/zero"), &link, folder.path()] {
            let refused = read_file(other).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{other:?}");
        }
    }
}
