/** One case of buffers-cases.ts or natives-cases.ts: `no-crash-child.ts <case>` prints `ok`, or `skip: <why>`. A crash is the parent's to see. */
import { isMainThread, parentPort } from 'node:worker_threads';
import { cases as buffers, giveAway, Skip } from './buffers-cases.ts';
import { cases as natives } from './natives-cases.ts';

if (isMainThread) {
  try {
    await { ...buffers, ...natives }[process.argv[2]!]!();
    console.log('ok');
  } catch (error) {
    if (!(error instanceof Skip)) throw error;
    console.log(`skip: ${error.message}`);
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
