/** A file that a run brings into its machine. */

/** A file at an absolute path inside. */
export interface InsideFile {
  /** Absolute, inside. */
  path: string;
  /** Its bytes, or text. */
  data: Uint8Array | string;
  /** It may be run: mode 0755 instead of 0644. Default false. */
  executable?: boolean;
}
