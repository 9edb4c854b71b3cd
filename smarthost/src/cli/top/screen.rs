//! The terminal: taken at the start, given back at any end.

use std::{
    io::{self, Write as _},
    panic,
};

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    execute, queue,
    style::{Attribute, Print, SetAttribute},
    terminal::{
        self, Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen,
        LeaveAlternateScreen,
    },
};

use super::{
    frame::{Line, Size},
    view::Key,
};

/// What somebody did there.
pub(super) enum Deed {
    Pressed(Key),
    /// Made it larger or smaller.
    Resized,
}

/// Of a terminal that does not tell.
const USUAL: Size = Size {
    width: 80,
    height: 24,
};

/// The terminal is ours as long as this lives.
pub(super) struct Screen(());

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        // Drop does not run where a panic aborts.
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            restore();
            before(info);
        }));
        terminal::enable_raw_mode()?;
        let screen = Self(());
        execute!(io::stdout(), EnterAlternateScreen, DisableLineWrap, Hide)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
        // The hook has nothing to restore any more.
        drop(panic::take_hook());
    }
}

/// Twice does no harm; who has gone cannot be helped.
fn restore() {
    let _ = execute!(io::stdout(), Show, EnableLineWrap, LeaveAlternateScreen);
    let _ = terminal::disable_raw_mode();
}

/// Whether the terminal says of itself that it only prints.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing is decided by it but how a frame is shown"
)]
pub(super) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|kind| kind == "dumb")
}

pub(super) fn size() -> Size {
    match terminal::size() {
        Ok((width @ 1.., height @ 1..)) => Size {
            width: width.into(),
            height: height.into(),
        },
        _ => USUAL,
    }
}

/// Waits for a key or another size.
pub(super) fn next_deed() -> io::Result<Deed> {
    loop {
        match event::read()? {
            Event::Resize(..) => return Ok(Deed::Resized),
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                let control = key.modifiers.contains(KeyModifiers::CONTROL);
                return Ok(Deed::Pressed(match key.code {
                    KeyCode::Char('c' | 'd' | '\\') if control => Key::Char('q'),
                    KeyCode::Char(letter) if !control => Key::Char(letter),
                    KeyCode::Esc => Key::Escape,
                    KeyCode::Tab => Key::Tab,
                    KeyCode::Left => Key::Left,
                    KeyCode::Right => Key::Right,
                    KeyCode::Up => Key::Up,
                    KeyCode::Down => Key::Down,
                    KeyCode::PageUp => Key::PageUp,
                    KeyCode::PageDown => Key::PageDown,
                    KeyCode::Home => Key::Home,
                    _ => continue,
                }));
            }
            _ => {}
        }
    }
}

/// One frame, in one piece.
pub(super) fn draw(lines: &[Line]) -> io::Result<()> {
    let mut out = Vec::new();
    for (row, line) in (0u16..).zip(lines) {
        let attribute = match line {
            Line::Plain(_) => Attribute::Reset,
            Line::Strong(_) => Attribute::Bold,
            Line::Title(_) => Attribute::Reverse,
        };
        queue!(
            out,
            MoveTo(0, row),
            SetAttribute(attribute),
            Print(line.text()),
            SetAttribute(Attribute::Reset),
            Clear(ClearType::UntilNewLine)
        )?;
    }
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    if rows < u16::try_from(size().height).unwrap_or(u16::MAX) {
        queue!(out, MoveTo(0, rows), Clear(ClearType::FromCursorDown))?;
    }
    let mut terminal = io::stdout().lock();
    terminal.write_all(&out)?;
    terminal.flush()
}
