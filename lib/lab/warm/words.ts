/** The words between a command and the process that it starts to keep a machine. */

/** Instead of a subcommand: how to keep a machine follows, as one JSON argument. */
export const KEEP_MACHINE = '--keep-machine';

/** What that process says on its standard output once it can be asked. */
export const LISTENING = 'listening';
