import { Worker } from 'node:worker_threads';
import { workerLoader } from './library.ts';

/** A worker that runs a module of the tests; it does not inherit the parent's loader. */
export function tsWorker(url: string, workerData: unknown): Worker {
  return new Worker(`${workerLoader}.then(() => import(${JSON.stringify(url)}))`, { eval: true, workerData });
}
