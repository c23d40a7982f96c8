(() => {
  const form = document.getElementById("sign-up"), place = document.getElementById("preview");
  let waiting, asked = 0;
  const show = async () => {
    const turn = ++asked, fields = new FormData(form);
    fields.delete("address");
    const answer = await fetch(place.dataset.url, { method: "POST", body: new URLSearchParams(fields) });
    const text = await answer.text();
    if (answer.ok && turn === asked) place.innerHTML = text;
  };
  form.addEventListener("change", event => {
    if (event.target.type === "email") return;
    clearTimeout(waiting);
    waiting = setTimeout(() => show().catch(() => {}), 250);
  });
})();
