"""Why a slide's score is what it is: tiles left out, maps that are tested, pictures of extremes."""
