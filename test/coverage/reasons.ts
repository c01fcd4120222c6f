/** Why files have fewer lines covered than others: what runs them is no test that is counted. */

interface Reason {
  files: RegExp;
  why: string;
}

export const reasons: readonly Reason[] = [
  {
    files: /^lib\/suite\/(subjects|kit)\//,
    why: 'a check asks a kernel that forwards, in a worker of its own: `test/lab/suite.test.ts` runs every one in both lanes, and `npm run mutants` shows that each can fail',
  },
  {
    files: /^lib\/suite\/run\//,
    why: 'the worker that runs the checks is a process of its own: `test/lab/suite.test.ts` and `test/cli/suite.test.ts` start it',
  },
  {
    files: /^lib\/(cli|runner|target)\//,
    why: 'the command: `test/cli` and `test/lab` start it, in processes of its own',
  },
  {
    files: /^lib\/(doctor|inspect)\//,
    why: 'it asks the kernel that the command runs on: `test/cli/doctor.test.ts`, `test/cli/abi.test.ts` and `test/lab/abi.test.ts` start it',
  },
  {
    files: /^lib\/lab\//,
    why: 'what builds and boots machines: the tests of `test/lab` do nothing else',
  },
  {
    files: /^lib\/(base\/temporary|host\/(kernel-config|threads)|trace\/json)\.ts$/,
    why: 'the command uses it: `test/cli` and `test/lab` start that, in processes of its own',
  },
  {
    files: /^lib\/review\//,
    why: 'a review builds kernels and boots them: `test/lab/review.test.ts` runs the command on small trees, `test/full/review.test.ts` on whole ones',
  },
  {
    files: /^lib\/suite\/faults\/watch\.ts$/,
    why: 'what the kernel watches while checks run: `npm run mutants -- --random` asks it',
  },
  {
    files: /^native\/core\/(undisturbed\.h|signals\.cc)$/,
    why: 'what a process at its limits falls back to: `test/teardown/limits.test.ts` puts processes there, and the harness of `npm run test:asan` runs it',
  },
  {
    files: /^native\/core\/waits\.cc$/,
    why: 'failures of epoll and of memory: `test/teardown/limits.test.ts` and the harness of `npm run test:asan` provoke them',
  },
  {
    files: /^native\/js\/errors\.cc$/,
    why: 'C++ exceptions that nothing but exhausted memory or limits makes: `test/teardown/limits.test.ts`',
  },
];

export const reasonFor = (path: string): string | undefined => reasons.find(({ files }) => files.test(path))?.why;
