/** Buttons of the page that open a conversation, which is all that the page itself has to do with the chat. */
for (const button of document.querySelectorAll('[data-chat]')) {
  button.addEventListener('click', () => document.querySelector('nextalk-chat').open(button.dataset.chat));
}
