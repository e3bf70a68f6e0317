//! The codec in this process, without a socket: headers, masking, text and a client's sending, beside
//! the floor under each and beside the peers that export theirs.

mod header;
mod mask;
mod ring;
mod send;
mod sink;
mod table;
mod text;
mod timing;

pub use table::Table;

/// Who does not stand in a table that others stand in.
const ABSENT: &str = "tokio-websockets exports neither its header decoding nor its masking, tungstenite not its \
                      masking, fastwebsockets not its header decoding";

/// Measures all of them and prints each table when it is done.
pub fn run() -> Vec<Table> {
    let groups: [fn() -> Table; 4] = [header::measure, mask::measure, text::measure, send::measure];
    let tables = groups
        .iter()
        .map(|measure| {
            let table = measure();
            print!("{}", table.render());
            table
        })
        .collect();
    println!("{ABSENT}");
    tables
}

/// The tables as Markdown, headed by where and how they came about.
pub fn markdown(tables: &[Table]) -> String {
    let mut text = crate::report::files::head();
    for table in tables {
        text.push_str(&table.markdown());
    }
    text + "\n" + ABSENT + ".\n"
}
