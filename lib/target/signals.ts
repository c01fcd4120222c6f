import { LabInterruptedError } from '../lab/errors.ts';

/** Ctrl-C and SIGTERM end the work in an orderly way. */
export async function withSignals<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const stop = () => abort.abort(new LabInterruptedError('interrupted', { advice: 'Run it again.' }));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop);
  try {
    return await work(abort.signal);
  } finally {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, stop);
  }
}
