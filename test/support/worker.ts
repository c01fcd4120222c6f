import { Worker } from 'node:worker_threads';

/** A worker that runs a TypeScript module; it does not inherit the parent's loader. */
export function tsWorker(url: string, workerData: unknown): Worker {
  const load = `import('tsx/esm/api').then(({ register }) => (register(), import(${JSON.stringify(url)})))`;
  return new Worker(load, { eval: true, workerData });
}
