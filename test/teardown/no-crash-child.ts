/**
 * Cases of buffers-cases.ts and natives-cases.ts: `no-crash-child.ts <case>...` prints `ok <case>`, or `skip <case>: <why>`,
 * for each. A crash is the parent's to see.
 */
import { isMainThread, parentPort } from 'node:worker_threads';
import { cases as buffers, giveAway, Skip } from './buffers-cases.ts';
import { cases as natives } from './natives-cases.ts';

if (isMainThread) {
  for (const name of process.argv.slice(2))
    try {
      await { ...buffers, ...natives }[name]!();
      console.log(`ok ${name}`);
    } catch (error) {
      if (!(error instanceof Skip)) throw error;
      console.log(`skip ${name}: ${error.message}`);
    }
} else {
  // It has something to wait for until it is terminated.
  parentPort!.on('message', () => {});
  try {
    const given = await giveAway();
    parentPort!.postMessage(given, [given]);
  } catch (error) {
    parentPort!.postMessage(String(error));
  }
}
