//! `ALTER TABLE` on a table that goes along with another one.

use pgrx::pg_sys::{self, AlterTableType as Kind};

use super::guard::on_error;
use super::node::{make_node, make_string, palloc_str};
use super::{ffi, list, table};

/// Runs commands on a table. Event triggers don't hear of them: the user altered another table.
///
/// # Safety
/// Valid commands, which may be scribbled on.
pub unsafe fn run(relid: pg_sys::Oid, commands: &[*mut pg_sys::AlterTableCmd]) {
    // SAFETY: valid commands; the inhibition is lifted on both ways out.
    unsafe {
        ffi::EventTriggerInhibitCommandCollection();
        let lift = || ffi::EventTriggerUndoInhibitCommandCollection();
        on_error(|| ffi::AlterTableInternal(relid, list::from_pointers(commands.iter().copied()), false), lift);
        lift();
    }
    table::command_counter_increment();
}

fn command(subtype: Kind::Type, name: Option<&str>) -> *mut pg_sys::AlterTableCmd {
    let command: *mut pg_sys::AlterTableCmd = make_node(pg_sys::NodeTag::T_AlterTableCmd);
    // SAFETY: a fresh node.
    unsafe {
        (*command).subtype = subtype;
        (*command).name = name.map_or(std::ptr::null_mut(), palloc_str);
        (*command).behavior = pg_sys::DropBehavior::DROP_RESTRICT;
    }
    command
}

/// Adds a column of type bytea whose values are never compressed, and gives rows that are there a value.
pub fn add_bytes(relid: pg_sys::Oid, name: &str, value: Option<&[u8]>) {
    let add = command(Kind::AT_AddColumn, None);
    let store = command(Kind::AT_SetStorage, Some(name));
    // SAFETY: fresh nodes.
    unsafe {
        let column = ffi::makeColumnDef(palloc_str(name), pg_sys::BYTEAOID, -1, pg_sys::InvalidOid);
        (*column).raw_default = value.map_or(std::ptr::null_mut(), |value| text_constant(&hexadecimal(value)).cast());
        (*add).def = column.cast();
        (*store).def = make_string("external").cast();
    }
    // SAFETY: fresh nodes.
    unsafe { run(relid, &[add, store]) };
    if value.is_some() {
        // What is there has its value; what comes brings its own, and NULL means something else.
        // SAFETY: fresh nodes.
        unsafe { run(relid, &[command(Kind::AT_ColumnDefault, Some(name))]) };
    }
}

/// Drops a column.
pub fn drop_column(relid: pg_sys::Oid, name: &str) {
    // SAFETY: fresh nodes.
    unsafe { run(relid, &[command(Kind::AT_DropColumn, Some(name))]) };
}

/// Sets a storage parameter, or with None goes back to its default.
pub fn set_option(relid: pg_sys::Oid, name: &str, value: Option<&str>) {
    let change = command(if value.is_some() { Kind::AT_SetRelOptions } else { Kind::AT_ResetRelOptions }, None);
    // SAFETY: fresh nodes.
    unsafe {
        let value = value.map_or(std::ptr::null_mut(), |value| make_string(value).cast());
        (*change).def = list::from_pointers([ffi::makeDefElem(palloc_str(name), value, -1)]).cast();
        run(relid, &[change]);
    }
}

/// `bytea`'s text in hexadecimal form.
fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold("\\x".to_owned(), |mut text, byte| {
        // Writing to a String does not fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}

fn text_constant(text: &str) -> *mut pg_sys::A_Const {
    let constant: *mut pg_sys::A_Const = make_node(pg_sys::NodeTag::T_A_Const);
    // SAFETY: a fresh node, whose value is a String node in place.
    unsafe {
        (*constant).val.sval = pg_sys::String { type_: pg_sys::NodeTag::T_String, sval: palloc_str(text) };
        (*constant).location = -1;
    }
    constant
}
