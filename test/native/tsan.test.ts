import { testHarness } from './harness.ts';

// node does not run under ThreadSanitizer: the thread and the ring do, in a program of their own.
testHarness('thread', 'libtsan.so');
