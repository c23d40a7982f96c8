(() => {
  const place = document.getElementById("live");
  if (!place) return;
  const look = async () => {
    if (!document.hidden && !place.contains(document.activeElement)) {
      const answer = await fetch(location.href, { redirect: "error" });
      if (answer.ok) {
        const found = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
        if (!found) return;
        place.replaceChildren(...found.childNodes);
        if (found.dataset.over) return;
      }
    }
    setTimeout(() => look().catch(() => {}), 3000);
  };
  if (!place.dataset.over) setTimeout(() => look().catch(() => {}), 3000);
})();
