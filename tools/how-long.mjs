// Says what an npm script is about to do, and how long that may take: before it starts.
const words = {
  build: 'Building the library, then the addon: a minute or less.',
  test:
    'Runs all tests: up to an hour on two cores that have nothing else to do, most of it in the lab. A quick look, in a minute or ' +
    'two: node --import tsx --test test/unit/*/*.test.ts',
};
console.error(words[process.argv[2]]);
