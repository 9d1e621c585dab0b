-- Strata's metadata live in "strata" (made by the image); Prefect keeps its runs apart.
CREATE DATABASE prefect;
