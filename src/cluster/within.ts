/** Resolves when a task has ended, or after so many milliseconds; rejects where the task does so before. */
export async function within(ms: number, task: Promise<unknown>): Promise<void> {
  let late: NodeJS.Timeout | undefined;
  const end = new Promise<void>((resolve) => {
    late = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([task, end]);
  } finally {
    clearTimeout(late);
  }
}
