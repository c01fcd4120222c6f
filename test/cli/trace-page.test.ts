// The page of `kvm-dsm trace --to html` in a browser: what is drawn, and that 100,000 events are drawn at once.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { loadTrace } from '../../lib/picture/file/load.ts';
import { readTrace } from '../../lib/picture/file/read.ts';
import { toHtml } from '../../lib/runner/trace-page.ts';
import { chromium, inBrowser } from '../support/browser.ts';
import { type PreparedRun, preparedRuns, preparedTarget } from '../support/pictures.ts';
import { moves, storm } from '../support/storm.ts';
import { asText, inPieces, traceLines } from '../support/trace-lines.ts';

const skip = chromium === undefined ? 'there is no chromium here' : false;
const folder = mkdtempSync(join(tmpdir(), 'trace-page-'));
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20 }));

/** Counts red pixels. */
const redPixels = `(async () => {
  const turn = () => new Promise((done) => requestAnimationFrame(done));
  await turn();
  await turn();
  const canvas = document.getElementById('canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let red = 0;
  for (let at = 0; at < data.length; at += 4) if (data[at] > 180 && data[at + 1] < 60 && data[at + 2] < 90) red += 1;
  return { red };
})()`;

async function seen(run: PreparedRun): Promise<{ red: number; asked: string[] }> {
  const trace = await loadTrace(readTrace(inPieces(asText(traceLines(run)), 1 << 16)));
  return inBrowser(folder, toHtml(trace), redPixels);
}

test('the page without a trace has at most 1.5 MB', async () => {
  const empty = await loadTrace(readTrace(inPieces(asText(traceLines()))));
  assert.ok([...toHtml(empty)].join('').length < 1_500_000);
});

describe('in a browser', { skip, timeout: 240_000 }, () => {
  test('what was lost is red, and nothing else is', async () => {
    const lost = await seen(preparedRuns.lost!());
    assert.ok(lost.red > 50);
    assert.deepEqual(lost.asked, [], 'no request leaves the page');
    const { events } = preparedRuns.lost!();
    const came = { events, targets: [preparedTarget(0), preparedTarget(1, { 240: 1 })] };
    assert.equal((await seen(came)).red, 0);
  });

  test('of 100,000 events the one that was lost is seen, and each zoom is drawn', async (t) => {
    assert.ok((await seen(storm(100_000, true))).red > 50);
    assert.equal((await seen(storm(100_000, false))).red, 0);
    const trace = await loadTrace(readTrace(inPieces(asText(traceLines(storm(100_000, true))), 1 << 16)));
    const { frames, p95 } = await inBrowser<{ frames: number; p95: number }>(folder, toHtml(trace), moves);
    t.diagnostic(`p95 of ${frames} frames: ${p95.toFixed(1)} ms`);
    assert.equal(frames, 240);
  });
});
