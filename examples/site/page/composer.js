/** The line one writes in: what was begun in each conversation, and telling the other side that one is typing. */
import { find } from './dom.js';

const TYPING_EVERY_MS = 3000;
const TYPING_ENDS_MS = 4000;

/**
 * `place()` is the open conversation, `onSend(place, body)` sends, `onTyping(place, active)` tells the other side.
 */
export function createComposer({ place, onSend, onTyping }) {
  const text = find('text');
  const begun = new Map();
  let told;
  let toldAt = 0;
  let timer;

  function typed() {
    begun.set(place(), text.value);
    fit();
    clearTimeout(timer);
    if (!text.value.trim()) return endTyping();
    timer = setTimeout(endTyping, TYPING_ENDS_MS);
    if (told === place() && Date.now() - toldAt < TYPING_EVERY_MS) return;
    told = place();
    toldAt = Date.now();
    onTyping(told, true);
  }

  function endTyping() {
    clearTimeout(timer);
    if (told) onTyping(told, false);
    told = undefined;
  }

  function fit() {
    text.style.height = 'auto';
    text.style.height = `${text.scrollHeight}px`;
  }

  function submit() {
    const body = text.value.trim();
    if (!body || !place() || text.disabled) return;
    text.value = '';
    begun.delete(place());
    fit();
    // The message itself tells the other side that typing is over.
    told = undefined;
    clearTimeout(timer);
    onSend(place(), body);
  }

  text.addEventListener('input', typed);
  text.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  find('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
    text.focus();
  });

  return {
    endTyping,
    /** Takes up what was begun in the conversation that is open now. */
    turn(focus) {
      text.value = begun.get(place()) ?? '';
      fit();
      if (focus) text.focus();
    },
    clear() {
      begun.clear();
      told = undefined;
      clearTimeout(timer);
      text.value = '';
    },
  };
}
