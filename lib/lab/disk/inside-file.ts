/** A file that a run brings into its machine. */

/** A file at an absolute path inside. */
export interface InsideFile {
  path: string;
  data: Uint8Array | string;
  executable?: boolean;
}
