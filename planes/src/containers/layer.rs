//! One layer of an image, laid over those below.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs,
    io::{self, BufRead, BufReader, Read},
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use tar::{Archive, EntryType};

/// How large one layer may get.
pub(crate) const LARGEST: u64 = 16 << 30;
/// How many symbolic links a path may lead over.
const LINKS: usize = 40;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Unpacks a layer, packed or not, into a folder. Nothing outside of the folder is touched, whatever the layer says.
pub(super) fn apply(root: &Path, from: impl Read) -> io::Result<()> {
    unpack(root, plain(from)?)
}

/// The archive that a layer is, whether it was packed or not.
pub(crate) fn plain<'a>(from: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut from = BufReader::new(from);
    let start = from.fill_buf()?;
    Ok(if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(from))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(ruzstd::decoding::StreamingDecoder::new(from).map_err(io::Error::other)?)
    } else {
        Box::new(from)
    })
}

fn unpack(root: &Path, from: impl Read) -> io::Result<()> {
    let mut archive = Archive::new(from);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(nix::unistd::geteuid().is_root());
    let mut here = HashSet::new();
    let mut size = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        size += entry.size();
        if size > LARGEST {
            return Err(io::Error::other(format!("it is larger than {LARGEST} bytes")));
        }
        let said = entry.path()?.into_owned();
        let Some(name) = file_name(&said)? else { continue };
        let folder = within(root, said.parent().unwrap_or(Path::new("")))?;
        fs::create_dir_all(&folder)?;
        if name.as_bytes() == OPAQUE {
            for below in fs::read_dir(&folder)? {
                let below = below?.path();
                if !here.contains(&below) {
                    remove(&below)?;
                }
            }
            continue;
        }
        if let Some(gone) = name.as_bytes().strip_prefix(WHITEOUT) {
            remove(&folder.join(OsStr::from_bytes(gone)))?;
            continue;
        }
        let path = folder.join(&name);
        let kind = entry.header().entry_type();
        match kind {
            EntryType::Directory => {
                if !fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
                    remove(&path)?;
                }
                entry.unpack(&path)?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse | EntryType::Symlink => {
                remove(&path)?;
                entry.unpack(&path)?;
            }
            EntryType::Link => {
                let target = entry.link_name()?.ok_or_else(|| io::Error::other(format!("{said:?} links nowhere")))?;
                let target_name =
                    file_name(&target)?.ok_or_else(|| io::Error::other(format!("{said:?} links to /")))?;
                let target = within(root, target.parent().unwrap_or(Path::new("")))?.join(target_name);
                if target != path {
                    remove(&path)?;
                    fs::hard_link(target, &path)?;
                }
            }
            EntryType::XGlobalHeader => continue,
            _ => {
                // Devices come with the container, whatever its image has.
                tracing::debug!(path = %said.display(), ?kind, "left out of an image");
                continue;
            }
        }
        here.extend(path.ancestors().take_while(|above| *above != root).map(Path::to_owned));
    }
    Ok(())
}

/// The last part of a path; none: it is the root itself.
fn file_name(path: &Path) -> io::Result<Option<std::ffi::OsString>> {
    match path.components().next_back() {
        Some(Component::Normal(name)) => Ok(Some(name.to_owned())),
        None | Some(Component::CurDir | Component::RootDir) => Ok(None),
        Some(_) => Err(io::Error::other(format!("{path:?} leads out of the image"))),
    }
}

/// Where a folder of the image is below `root`, with symbolic links followed as they are inside of the image.
fn within(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut found = root.to_owned();
    let mut rest: Vec<PathBuf> = path.components().rev().map(|part| PathBuf::from(part.as_os_str())).collect();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part.components().next() {
            Some(Component::Normal(name)) => {
                let next = found.join(name);
                match fs::read_link(&next) {
                    Ok(target) => {
                        links += 1;
                        if links > LINKS {
                            return Err(io::Error::other(format!("{path:?} leads in circles")));
                        }
                        rest.extend(target.components().rev().map(|part| PathBuf::from(part.as_os_str())));
                    }
                    Err(_) => found = next,
                }
            }
            Some(Component::RootDir) => found = root.to_owned(),
            Some(Component::ParentDir) if links == 0 => {
                return Err(io::Error::other(format!("{path:?} leads out of the image")));
            }
            Some(Component::ParentDir) if found != root => {
                found.pop();
            }
            _ => {}
        }
    }
    Ok(found)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Part<'a> {
        File(&'a str, &'a str),
        Folder(&'a str),
        Symlink(&'a str, &'a str),
        Hard(&'a str, &'a str),
    }

    /// A layer, with names as they are: also those a well-behaved archiver would refuse.
    fn layer(parts: &[Part<'_>]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for part in parts {
            let (name, kind, data, link) = match part {
                Part::File(name, data) => (name, EntryType::Regular, *data, None),
                Part::Folder(name) => (name, EntryType::Directory, "", None),
                Part::Symlink(name, to) => (name, EntryType::Symlink, "", Some(to)),
                Part::Hard(name, to) => (name, EntryType::Link, "", Some(to)),
            };
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            if let Some(link) = link {
                header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
            }
            header.set_entry_type(kind);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_mode(0o755);
            header.set_size(data.len() as u64);
            header.set_cksum();
            builder.append(&header, data.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn layers_lie_over_each_other() {
        let root = tempfile::tempdir().unwrap();
        let below = layer(&[
            Part::Folder("a/"),
            Part::File("a/gone", "1"),
            Part::File("a/stays", "2"),
            Part::File("b/old", "3"),
            Part::Folder("usr/lib"),
            Part::Symlink("lib", "/usr/lib"),
        ]);
        let above = layer(&[
            Part::File("a/.wh.gone", ""),
            Part::File("b/new", "4"),
            Part::File("b/.wh..wh..opq", ""),
            Part::File("lib/so", "5"),
            Part::Hard("hard", "lib/so"),
        ]);
        apply(root.path(), below.as_slice()).unwrap();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut packed, &above).unwrap();
        apply(root.path(), packed.finish().unwrap().as_slice()).unwrap();
        let has = |path: &str| fs::read_to_string(root.path().join(path)).ok();
        assert_eq!(has("a/gone"), None);
        assert_eq!(has("a/stays").as_deref(), Some("2"));
        assert_eq!((has("b/old"), has("b/new").as_deref()), (None, Some("4")));
        assert_eq!((has("usr/lib/so").as_deref(), has("hard").as_deref()), (Some("5"), Some("5")));
    }

    #[test]
    fn nothing_gets_out() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(outer.path().join("secret"), "s").unwrap();
        let target = outer.path().join("secret").display().to_string();
        for parts in [
            vec![Part::File("../evil", "x")],
            vec![Part::File("a/../../evil", "x")],
            vec![Part::Hard("stolen", "../secret")],
            vec![Part::Hard("stolen", &target)],
        ] {
            assert!(apply(&root, layer(&parts).as_slice()).is_err(), "it should be refused");
        }
        // Links that point out lead inside.
        let parts = [
            Part::Symlink("up", "../../.."),
            Part::File("up/evil", "x"),
            Part::Symlink("s", &target),
            Part::File("s", "y"),
        ];
        apply(&root, layer(&parts).as_slice()).unwrap();
        assert_eq!(fs::read_to_string(root.join("evil")).unwrap(), "x");
        assert_eq!(fs::read_to_string(outer.path().join("secret")).unwrap(), "s");
        assert!(!outer.path().join("evil").exists());
    }
}
