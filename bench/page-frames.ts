// How smoothly the page of `kvm-dsm trace --to html` zooms and moves: headless Chromium, 1400 by 800.
//
//   node --import tsx bench/page-frames.ts [events] [share that are the kernel's own: 0 to 1]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTrace } from '../lib/picture/file/load.ts';
import { readTrace } from '../lib/picture/file/read.ts';
import { toHtml } from '../lib/runner/trace-page.ts';
import { chromium, inBrowser } from '../test/support/browser.ts';
import { kernelStorm, moves, storm } from '../test/support/storm.ts';
import { asText, inPieces, traceLines } from '../test/support/trace-lines.ts';

const [events = 100_000, share = 0] = process.argv.slice(2).map(Number);
if (chromium === undefined) throw new Error('there is no Chromium here: apt-get install chromium');
const own = traceLines(storm(events * (1 - share), true));
const born = BigInt(own.find(({ type }) => type === 'machine')!.born as string);
const lines = [...own.slice(0, -2), ...kernelStorm(events * share, born), ...own.slice(-2)];
const trace = await loadTrace(readTrace(inPieces(asText(lines), 1 << 16)));
const folder = mkdtempSync(join(tmpdir(), 'page-frames-'));
try {
  const page = [...toHtml(trace)];
  const { frames, p50, p95, work, cpuMs } = await inBrowser<Record<'frames' | 'p50' | 'p95' | 'work', number>>(
    folder,
    page,
    moves,
  );
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  console.log(
    `${events} events, ${share * 100} % of them the kernel's: of ${frames} frames the median is ${ms(p50)}, p95 ${ms(p95)}, ` +
      `of which the page's own code takes ${ms(work)}; CPU time of its thread ${ms(cpuMs / frames)} a frame; ${page.join('').length} bytes`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
