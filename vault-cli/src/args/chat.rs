//! The grammar of `chat`.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
pub(crate) struct ChatArguments {
    /// The channel that is relayed
    #[arg(long, value_name = "NAME", default_value = "web")]
    pub(crate) channel: String,
    /// A file with who talks, as the channel calls them; `-` for the first line of stdin
    ///
    /// Without it somebody at a terminal is asked, and a pipe talks as the invented `demo`.
    #[arg(long, value_name = "FILE")]
    pub(crate) user_file: Option<PathBuf>,
    /// The language of the channel, such as de; what is written in another is answered in that
    #[arg(long, value_name = "TAG")]
    pub(crate) locale: Option<String>,
    /// Others read along: nothing of the person is shown, and no code is taken
    #[arg(long)]
    pub(crate) group: bool,
}
