/** The port whose `out` is a schedule point: of `step()`, and of what stands between two instructions of a stepped program. */
export const STEP_PORT = 0xec;
