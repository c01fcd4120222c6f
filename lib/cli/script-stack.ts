import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';

const INLINE_MAP = /^\/\/# sourceMappingURL=data:application\/json;base64,(.*)$/m;

/**
 * Rewrites an error's stack so that it names the script's own files and lines instead of those of the module made of
 * them. Done when an error needs it: node's own support for source maps costs time at every start.
 *
 * @param module the path of that module, which carries its source map
 */
export function withScriptPlaces(error: unknown, module: string): unknown {
  if (!(error instanceof Error) || !error.stack?.includes(module)) return error;
  const encoded = INLINE_MAP.exec(readFileSync(module, 'utf8'))?.[1];
  if (!encoded) return error;
  const map = new SourceMap(JSON.parse(Buffer.from(encoded, 'base64').toString()) as SourceMapPayload);
  const place = new RegExp(`(?:file://)?${module.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}:(\\d+):(\\d+)`, 'g');
  error.stack = error.stack.replace(place, (text, line: string, column: string) => {
    const entry = map.findEntry(Number(line) - 1, Number(column) - 1);
    if (!('originalSource' in entry)) return text;
    return `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  });
  return error;
}
