//! The codec in this process, without a socket: headers, masking, text and a client's sending, beside the
//! floor of each and the peers that export such a function.

mod header;
mod mask;
mod ring;
mod send;
mod sink;
mod table;
mod text;
mod timing;

pub use table::Table;

/// The peers that are missing in some tables.
const ABSENT: &str = "tokio-websockets exports neither its header decoding nor its masking, tungstenite not its \
                      masking, fastwebsockets not its header decoding";

/// Measures everything, and prints each table when it is done.
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

/// Returns the tables as Markdown, with a head that describes the machine and the command.
pub fn markdown(tables: &[Table]) -> String {
    let mut text = crate::report::files::head();
    for table in tables {
        text.push_str(&table.markdown());
    }
    text + "\n" + ABSENT + ".\n"
}
