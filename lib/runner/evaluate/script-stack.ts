/** Stacks that name the script's own lines. */
import { SourceMap, type SourceMapPayload } from 'node:module';

const INLINE_MAP = /^\/\/# sourceMappingURL=data:application\/json;base64,(.*)$/m;

/**
 * From now on an error's stack names a script's own files and lines instead of those of the text made of them. The
 * source map is read when a stack needs it: node's own support for source maps costs time at every start.
 *
 * @param file what a stack calls that text
 * @param code the text, which carries its source map
 */
export function nameScriptPlaces(file: string, code: string): void {
  const place = new RegExp(`(?:file://)?${file.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}:(\\d+):(\\d+)`);
  let map: SourceMap | undefined;
  const original = (text: string, line: string, column: string): string => {
    map ??= readMap(code);
    const entry = map?.findEntry(Number(line) - 1, Number(column) - 1);
    if (!entry || !('originalSource' in entry)) return text;
    return `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  };
  Error.prepareStackTrace = (error, frames) =>
    [
      Error.prototype.toString.call(error),
      ...frames.map((frame) => `    at ${withoutInside(String(frame).replace(place, original))}`),
    ].join('\n');
}

/** The files that a machine of the lab has of this package: V8's kept code names them where the disk was made. */
const inside = /(?:file:\/\/)?\/\S*\/pkg\/(?:package|iced_x86\.code)\.cjs:\d+:\d+/;

/** A frame of a stack without the place that a file of the package has in the lab: there is no such file on the host. */
export function withoutInside(frame: string): string {
  return frame.replace(inside, 'kvm-dsm');
}

function readMap(code: string): SourceMap | undefined {
  const encoded = INLINE_MAP.exec(code)?.[1];
  return (
    (encoded && new SourceMap(JSON.parse(Buffer.from(encoded, 'base64').toString()) as SourceMapPayload)) || undefined
  );
}
