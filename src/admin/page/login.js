const query = new URLSearchParams(location.search);
const problem = document.getElementById('problem');

if (query.has('wrong')) problem.textContent = 'That is not the token.';
if (query.has('wait')) problem.textContent = `Too many wrong tokens: try again in ${Number(query.get('wait'))} s.`;
problem.hidden = problem.textContent === '';
