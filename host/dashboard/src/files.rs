//! Where tiles and filters come from: a folder, which is read again for each reader, so that a file
//! dropped into it is a tile at once; or, where there is no folder, those that the binary was built with.

use std::path::{Path, PathBuf};

use rust_embed::RustEmbed;

use super::tile::{Filter, Problem, Tile};
use clickmill_core::file;

#[derive(RustEmbed)]
#[folder = "../../sql/dashboard"]
struct Embedded;

/// Where the filters are, within the folder of the tiles.
const FILTERS: &str = "filters";

/// Where tiles and filters are.
#[derive(Debug, Clone)]
pub enum Folder {
    /// A folder.
    At(PathBuf),
    /// In the binary.
    Embedded,
}

/// What a folder holds, in order.
pub(super) struct Files {
    pub tiles: Vec<Tile>,
    pub filters: Vec<Filter>,
    pub problems: Vec<Problem>,
}

impl Folder {
    /// All of it.
    pub(super) fn read(&self) -> Files {
        let mut files = Files { tiles: Vec::new(), filters: Vec::new(), problems: Vec::new() };
        for (path, text) in self.texts() {
            let problem = |error: String| Problem { file: path.display().to_string(), error };
            let text = match text {
                Ok(text) => text,
                Err(error) => {
                    files.problems.push(problem(error));
                    continue;
                }
            };
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let read = if path.starts_with(FILTERS) {
                Filter::parse(&text).map(|filter| files.filters.push(filter))
            } else {
                Tile::parse(&name, &text).map(|tile| files.tiles.push(tile))
            };
            if let Err(error) = read {
                files.problems.push(problem(error.to_string()));
            }
        }
        files.tiles.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
        files.filters.sort_by_key(|filter| filter.order);
        files
    }

    /// A tile by its name.
    pub(super) fn tile(&self, name: &str) -> Option<Tile> {
        self.read().tiles.into_iter().find(|tile| tile.name == name)
    }

    /// The SQL files, by their path within the folder.
    fn texts(&self) -> Vec<(PathBuf, Result<String, String>)> {
        match self {
            Self::Embedded => Embedded::iter()
                .filter_map(|path| {
                    let text = String::from_utf8_lossy(&Embedded::get(&path)?.data).into_owned();
                    Some((PathBuf::from(&*path), Ok(text)))
                })
                .filter(|(path, _)| is_sql(path))
                .collect(),
            Self::At(folder) => {
                let mut texts = texts_in(folder, Path::new(""));
                texts.extend(texts_in(folder, Path::new(FILTERS)));
                texts
            }
        }
    }
}

fn texts_in(folder: &Path, within: &Path) -> Vec<(PathBuf, Result<String, String>)> {
    let Ok(entries) = std::fs::read_dir(folder.join(within)) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_sql(path));
    let read = |path: PathBuf| {
        let name = within.join(path.file_name().unwrap_or_default());
        (name, file::text(&path).map_err(|error| error.to_string()))
    };
    paths.map(read).collect()
}

fn is_sql(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "sql")
}
