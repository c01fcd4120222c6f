/** A subcommand's file adds it to the program. Its code is loaded when it is called: start-up inside a lab is slow. */

/** Takes the exit code that a subcommand ends with. */
export type Ends = (exitCode: number) => void;
