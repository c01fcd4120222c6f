/** `kvm-dsm trace`: what a trace file has, as text, as a picture, for Perfetto, as a page. */

import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { EnvironmentError } from '../base/errors.ts';
import { printableLines } from '../base/text.ts';
import { describeNodeIpi } from '../node/crossing-words.ts';
import { diagram } from '../picture/diagram.ts';
import { type LoadedTrace, loadTrace } from '../picture/file/load.ts';
import { readTrace, type TraceRecord } from '../picture/file/read.ts';
import { printingStream } from '../target/output.ts';
import { describeKernelEvent, describeKernelLoss, type KernelEvent } from '../trace/kernel-event.ts';
import { describeEvent } from '../trace/text.ts';
import { TraceFileError } from './trace-file.ts';

type TraceForm = 'text' | 'diagram' | 'perfetto' | 'html';

export interface TraceCommandOptions {
  to: TraceForm;
  output?: string;
}

/** The file cannot be read. */
export class TraceReadError extends EnvironmentError {
  readonly code = 'ERR_TRACE_READ';

  constructor(path: string, cause: Error) {
    super(`The trace ${path} cannot be read: ${cause.message}`, {
      cause,
      advice: 'Name a file, or - for standard input.',
    });
  }
}

/** A picture is drawn of so many of the last events of each machine. */
const DRAWN = 200_000;

/** Returns the exit code. @param file `-`: standard input */
export async function traceCommand(file: string, { to, output }: TraceCommandOptions): Promise<number> {
  const records = watched(readTrace(chunksOf(file)));
  const out: Writable = output === undefined ? printingStream() : createWriteStream(output);
  const failed = new Promise<never>((_, reject) => {
    out.once('error', (error: Error) => reject(new TraceFileError(output ?? 'standard output', error)));
  });
  failed.catch(() => {});
  await Promise.race([writeAll(await partsOf(to, records), out), failed]);
  return 0;
}

async function* chunksOf(file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* file === '-' ? process.stdin : createReadStream(file);
  } catch (error) {
    throw new TraceReadError(file, error as Error);
  }
}

/** Says on standard error that the file is not all of the run. */
async function* watched(records: AsyncIterable<TraceRecord>): AsyncGenerator<TraceRecord> {
  for await (const record of records) {
    if (record.type === 'cut')
      process.stderr.write(
        `note: the trace ends at line ${record.line}, before its run did: what wrote it was cut off\n`,
      );
    yield record;
  }
}

type Parts = AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>;

async function partsOf(to: TraceForm, records: AsyncIterable<TraceRecord>): Promise<Parts> {
  if (to === 'text') return textOf(records);
  const trace = await loadTrace(records, to === 'diagram' ? DRAWN : undefined);
  if (to === 'diagram') return diagramsOf(trace);
  if (to === 'perfetto') return (await import('../picture/file/perfetto.ts')).toPerfetto(trace);
  return (await import('./trace-page.ts')).toHtml(trace);
}

async function writeAll(parts: Parts, out: Writable): Promise<void> {
  for await (const part of parts) if (!out.write(part)) await once(out, 'drain');
  out.end();
  await once(out, 'finish');
}

async function* textOf(records: AsyncIterable<TraceRecord>): AsyncGenerator<string> {
  for await (const record of records) {
    if (record.type === 'event') yield `${describeEvent(record.event)}\n`;
    else if (record.type === 'node-ipi') yield `${describeNodeIpi(record.ipi)}\n`;
    else if (record.type === 'kernel')
      yield `  kernel ${whereWords(record.kernel)}  ${describeKernelEvent(record.kernel)}\n`;
    else if (record.type === 'kernel-lost') yield `  kernel ${describeKernelLoss(record.loss)}\n`;
    else if (record.type === 'failure') yield `not ok: ${printableLines(String(record.error.message))}\n`;
  }
}

const whereWords = ({ vcpu, tid }: KernelEvent) => (vcpu === undefined ? `thread ${tid}` : `vCPU ${vcpu}`);

function* diagramsOf({ machines }: LoadedTrace): Generator<string> {
  for (const { machine, picture } of machines) {
    const lines = diagram(picture);
    if (machines.length > 1) yield `machine ${machine}${lines.length === 0 ? ': no events' : ''}\n`;
    yield `${[...lines, ''].join('\n')}${machines.length > 1 ? '\n' : ''}`;
  }
}
