/**
 * Widens libuv's thread pool; import this before anything that reads a file. Each write in flight occupies one
 * thread of the pool (4 by default), and the size is read once, at the pool's first use.
 */
process.env.UV_THREADPOOL_SIZE ??= '64';
